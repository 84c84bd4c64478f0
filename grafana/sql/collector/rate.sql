-- The last five whole minutes.
SELECT coalesce(sum(events), 0)::double precision / 300 AS "Events/s"
FROM reporting.agent_recent
WHERE "time" = date_bin('5 minutes', now(), '2000-01-01Z') - interval '5 minutes'
