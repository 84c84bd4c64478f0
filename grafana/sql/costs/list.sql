SELECT
    agent_name AS "Agent",
    coalesce(model_name, 'no model') AS "Model",
    sum(events)::double precision AS "Events",
    sum(cost)::double precision AS "Cost",
    (sum(cost) / nullif(sum(events), 0))::double precision AS "Cost an event",
    sum(prompt_tokens)::double precision AS "Prompt",
    (sum(cached_tokens) / nullif(sum(prompt_tokens), 0))::double precision AS "Cached",
    sum(completion_tokens)::double precision AS "Completion",
    sum(reasoning_tokens)::double precision AS "Reasoning"
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY 1, 2
ORDER BY "Cost" DESC, "Events" DESC
LIMIT 100
