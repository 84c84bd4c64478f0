-- The least of each span: what was free when it was fullest.
SELECT
    date_bin(
        CASE WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '12 hours' THEN '5 minutes'
            WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '15 days' THEN '1 hour'
            ELSE '1 day' END::interval,
        "time", '2000-01-01Z'
    ) AS "time",
    'free' AS metric,
    min(disk_free_bytes)::double precision AS value
FROM reporting.collector_samples
WHERE "time" >= $__timeFrom()::timestamptz AND "time" < $__timeTo()::timestamptz AND disk_free_bytes IS NOT NULL
GROUP BY 1
ORDER BY 1
