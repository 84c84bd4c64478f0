-- The span before and the span. Infinity is what nothing can be compared with: Grafana then shows no change.
-- At most 5 % from the exact percentile.
WITH histograms AS (
    SELECT false AS before, bucket, sum(n) AS n
    FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz) AS r,
        unnest(latency_buckets, latency_counts) AS h(bucket, n)
    GROUP BY bucket
    UNION ALL
    SELECT true, bucket, sum(n)
    FROM reporting.agents_between(
        $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz), $__timeFrom()::timestamptz) AS r,
        unnest(latency_buckets, latency_counts) AS h(bucket, n)
    GROUP BY bucket
), p95 AS (
    SELECT
        reporting.percentile(0.95, array_agg(bucket) FILTER (WHERE before), array_agg(n) FILTER (WHERE before)) AS before,
        reporting.percentile(0.95, array_agg(bucket) FILTER (WHERE NOT before), array_agg(n) FILTER (WHERE NOT before))
            AS span
    FROM histograms
)
SELECT "time", v.value AS "p95 latency"
FROM p95, LATERAL (VALUES
    ($__timeFrom()::timestamptz, coalesce(nullif(p95.before, 0), 'Infinity')),
    ($__timeTo()::timestamptz, p95.span)
) AS v("time", value)
WHERE p95.span IS NOT NULL
ORDER BY 1
