SELECT
    occurred_at AS "Time",
    outcome AS "Outcome",
    event_type AS "Type",
    agent_name AS "Agent",
    hook_name AS "Hook",
    tool_name AS "Tool",
    decision_reason AS "Reason",
    tool_input::text AS "Input",
    latency_ms AS "Latency",
    model_name AS "Model",
    total_tokens::double precision AS "Tokens",
    cost::double precision AS "Cost"
FROM reporting.events
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
ORDER BY occurred_at
LIMIT 1000
