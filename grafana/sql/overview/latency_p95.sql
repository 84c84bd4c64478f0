-- The span before, where any latency was reported, and the span; at most 5 % from the exact percentile.
SELECT "time", reporting.percentile(0.95, array_agg(bucket), array_agg(n)) AS "p95 latency"
FROM (
    SELECT $__timeFrom()::timestamptz AS "time", bucket, sum(n) AS n
    FROM reporting.agents_between(
    $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz), $__timeFrom()::timestamptz) AS r, unnest(latency_buckets, latency_counts) AS h(bucket, n)
    GROUP BY bucket
    UNION ALL
    SELECT $__timeTo()::timestamptz, bucket, sum(n)
    FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz) AS r,
        unnest(latency_buckets, latency_counts) AS h(bucket, n)
    GROUP BY bucket
) AS histograms
GROUP BY "time"
ORDER BY 1
