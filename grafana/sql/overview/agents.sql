WITH span AS MATERIALIZED (
    SELECT agent_name, events, denied, failed, last_at, latency_buckets, latency_counts
    FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
), histograms AS (
    SELECT agent_name, reporting.percentile(0.95, array_agg(bucket), array_agg(n)) AS p95
    FROM (
        SELECT agent_name, bucket, sum(n) AS n
        FROM span, unnest(latency_buckets, latency_counts) AS h(bucket, n)
        GROUP BY agent_name, bucket
    ) AS summed
    GROUP BY agent_name
)
SELECT
    agent_name AS "Agent",
    sum(events)::double precision AS "Events",
    sum(denied)::double precision AS "Denials",
    sum(failed)::double precision AS "Errors",
    p95 AS "p95",
    max(last_at) AS "Last seen"
FROM span LEFT JOIN histograms USING (agent_name)
GROUP BY agent_name, p95
ORDER BY "Events" DESC, "Agent"
LIMIT 100
