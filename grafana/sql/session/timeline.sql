-- Outcomes as numbers, for Grafana makes series of numbers only; the panel names them. An event ends when it is told of and
-- began its latency earlier; it is drawn at least a hundredth of the range wide.
WITH told AS (
    SELECT
        agent_name,
        array_position(
            ARRAY['approved', 'confirmed', 'continued', 'succeeded', 'denied', 'failed', 'other', 'none'], outcome
        )::double precision AS outcome,
        occurred_at AS ended,
        greatest(
            coalesce(latency_ms, 0) * interval '1 ms', ($__timeTo()::timestamptz - $__timeFrom()::timestamptz) / 100
        ) AS took
    FROM reporting.events
    WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
        AND occurred_at >= $__timeFrom()::timestamptz AND occurred_at < $__timeTo()::timestamptz
    ORDER BY occurred_at
    LIMIT 1000
)
SELECT ended - took AS "time", agent_name AS metric, outcome AS value FROM told
UNION ALL
SELECT ended, agent_name, NULL FROM told
UNION ALL
-- Grafana's own words for an empty timeline say nothing.
SELECT $__timeFrom()::timestamptz, 'Choose a longer time', NULL
WHERE NOT EXISTS (SELECT FROM told)
ORDER BY 1, 3 NULLS FIRST
