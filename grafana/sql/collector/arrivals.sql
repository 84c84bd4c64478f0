-- By when they came in. The share of a sample's five minutes that lies ahead is left out.
WITH spans AS (
    SELECT
        date_bin(
            CASE WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '12 hours' THEN '5 minutes'
                WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '15 days' THEN '1 hour'
                ELSE '1 day' END::interval,
            "time", '2000-01-01Z'
        ) AS start,
        sum(stored) AS stored, sum(duplicates) AS duplicates, sum(rejected) AS rejected,
        sum(least(300, greatest(60, extract(epoch FROM now() - "time")))) AS seconds
    FROM reporting.collector_samples
    WHERE "time" >= $__timeFrom()::timestamptz AND "time" < $__timeTo()::timestamptz
    GROUP BY start
)
SELECT start AS "time", r.name AS metric, (r.events / seconds)::double precision AS value
FROM spans, LATERAL (VALUES ('stored', stored), ('duplicates', duplicates), ('rejected', rejected)) AS r(name, events)
ORDER BY start, r.name
