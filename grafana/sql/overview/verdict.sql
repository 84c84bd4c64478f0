-- The verdict of /glance, by the rules of app/glance/verdict.py: of the last hour against the week before it, whatever span is
-- shown. The first that holds.
WITH recent AS (
    SELECT sum(events) AS events, sum(failed) AS failed, sum(decisions) AS decisions, sum(denied) AS denied
    FROM reporting.agent_recent
    WHERE "time" >= date_bin('5 minutes', now() - interval '1 hour', '2000-01-01Z')
        AND "time" < date_bin('1 hour', now(), '2000-01-01Z') + interval '1 hour'
), usual AS (
    SELECT
        coalesce(sum(failed) / nullif(sum(events), 0), 0) AS error_rate,
        coalesce(sum(denied) / nullif(sum(decisions), 0), 0) AS denial_rate
    FROM reporting.agent_hours
    WHERE "time" >= date_bin('1 hour', now() - interval '1 hour', '2000-01-01Z') - interval '7 days'
        AND "time" < date_bin('1 hour', now() - interval '1 hour', '2000-01-01Z')
), fleet AS (
    SELECT
        count(*) AS ever,
        count(*) FILTER (WHERE NOT gone) AS known,
        count(*) FILTER (WHERE silent) AS silent
    FROM reporting.hosts
)
SELECT CASE
    WHEN ever = 0 THEN 'Nothing here yet'
    WHEN NOT EXISTS (
        SELECT FROM reporting.agent_hours
        WHERE "time" >= date_bin('1 hour', now() - interval '24 hours', '2000-01-01Z')
            AND "time" < date_bin('1 hour', now(), '2000-01-01Z') + interval '1 hour'
    ) THEN 'No events in 24 hours'
    WHEN events >= {enough} AND failed >= {enough_bad}
        AND (failed >= {errors_always_high} * events
            OR (failed >= {errors_high} * events AND failed >= {unusual} * error_rate * events))
    THEN 'Errors are high'
    WHEN decisions >= {enough} AND denied >= {enough_bad}
        AND denied >= {denials_high} * decisions AND denied >= {unusual} * denial_rate * decisions
    THEN 'Denials are high'
    WHEN silent = 1 THEN 'A host is silent'
    WHEN silent > 0 AND silent = known THEN 'All hosts are silent'
    WHEN silent > 0 THEN silent || ' of ' || known || ' hosts are silent'
    ELSE 'All is well'
END AS "Verdict"
FROM recent, usual, fleet
