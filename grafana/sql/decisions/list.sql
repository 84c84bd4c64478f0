-- The newest ones; a text is looked for in the newest 10 000, for it must be looked for in each. "from" and "to" are for the
-- link: the hour before and after the decision, in ms.
SELECT
    occurred_at AS "Time",
    outcome AS "Outcome",
    agent_name AS "Agent",
    tool_name AS "Tool",
    decision_reason AS "Reason",
    host_id AS "Host",
    session_id AS "Session",
    latency_ms AS "Latency",
    (extract(epoch FROM occurred_at - interval '1 hour') * 1000)::bigint::text AS "from",
    (extract(epoch FROM occurred_at + interval '1 hour') * 1000)::bigint::text AS "to"
FROM (
    SELECT * FROM reporting.events
    WHERE occurred_at >= $__timeFrom()::timestamptz AND occurred_at < $__timeTo()::timestamptz
        AND outcome <> 'none'
        AND ('*' IN (${outcome:sqlstring}) OR outcome IN (${outcome:sqlstring}))
        AND ('*' IN (${host:sqlstring}) OR host_id IN (${host:sqlstring}))
        AND ('*' IN (${agent:sqlstring}) OR agent_name IN (${agent:sqlstring}))
        AND ('*' IN (${tool:sqlstring}) OR coalesce(tool_name, 'no tool') IN (${tool:sqlstring}))
    ORDER BY occurred_at DESC
    LIMIT CASE WHEN ${text:sqlstring} = '' THEN 200 ELSE 10000 END
) AS newest
WHERE ${text:sqlstring} = '' OR position(lower(${text:sqlstring}) IN lower(decision_reason)) > 0
ORDER BY occurred_at DESC
LIMIT 200
