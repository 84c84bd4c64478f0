-- The newest ones. "from" and "to" are for the link: the hours around the decision, in ms.
SELECT
    occurred_at AS "Time",
    outcome AS "Outcome",
    agent_name AS "Agent",
    tool_name AS "Tool",
    decision_reason AS "Reason",
    host_id AS "Host",
    session_id AS "Session",
    latency_ms AS "Latency",
    model_tier AS "Tier",
    (extract(epoch FROM occurred_at - interval '3 hours') * 1000)::bigint::text AS "from",
    (extract(epoch FROM occurred_at + interval '3 hours') * 1000)::bigint::text AS "to"
FROM reporting.events
WHERE occurred_at >= $__timeFrom()::timestamptz AND occurred_at < $__timeTo()::timestamptz
    AND outcome <> 'none'
    AND ('*' IN (${outcome:sqlstring}) OR outcome IN (${outcome:sqlstring}))
    AND ('*' IN (${host:sqlstring}) OR host_id IN (${host:sqlstring}))
    AND ('*' IN (${agent:sqlstring}) OR agent_name IN (${agent:sqlstring}))
    AND ('*' IN (${tool:sqlstring}) OR coalesce(tool_name, 'no tool') IN (${tool:sqlstring}))
    AND (${text:sqlstring} = '' OR position(lower(${text:sqlstring}) IN lower(decision_reason)) > 0)
ORDER BY occurred_at DESC
LIMIT 200
