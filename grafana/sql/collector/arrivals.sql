-- By when they came in. The share of a sample's five minutes that lies ahead is left out.
WITH spans AS (
    SELECT
        date_bin(make_interval(secs => greatest(300, $__interval_ms / 1000)), "time", '2000-01-01Z') AS start,
        sum(stored) AS stored, sum(duplicates) AS duplicates, sum(rejected) AS rejected,
        sum(least(300, greatest(60, extract(epoch FROM now() - "time")))) AS seconds
    FROM reporting.collector_samples
    WHERE "time" >= $__timeFrom()::timestamptz AND "time" < $__timeTo()::timestamptz
    GROUP BY start
)
SELECT start AS "time", r.name AS metric, (r.events / seconds)::double precision AS value
FROM spans, LATERAL (VALUES ('stored', stored), ('duplicates', duplicates), ('rejected', rejected)) AS r(name, events)
ORDER BY start, r.name
