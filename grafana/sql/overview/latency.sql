-- At most 5 % from the exact percentiles.
WITH histograms AS (
    SELECT "time", tier, array_agg(bucket) AS buckets, array_agg(n) AS counts
    FROM (
        SELECT "time", coalesce(model_tier, 'no model') AS tier, bucket, sum(n) AS n
        FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz),
            unnest(latency_buckets, latency_counts) AS h(bucket, n)
        GROUP BY "time", tier, bucket
    ) AS summed
    GROUP BY "time", tier
)
SELECT "time", tier || ' ' || p.name AS metric, reporting.percentile(p.share, buckets, counts) AS value
FROM histograms, (VALUES ('p50', 0.5), ('p95', 0.95)) AS p(name, share)
ORDER BY "time", tier, p.name
