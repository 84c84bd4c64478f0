-- The least of each span: what was free when it was fullest.
SELECT
    date_bin(make_interval(secs => greatest(300, $__interval_ms / 1000)), "time", '2000-01-01Z') AS "time",
    'free' AS metric,
    min(disk_free_bytes)::double precision AS value
FROM reporting.collector_samples
WHERE "time" >= $__timeFrom()::timestamptz AND "time" < $__timeTo()::timestamptz AND disk_free_bytes IS NOT NULL
GROUP BY 1
ORDER BY 1
