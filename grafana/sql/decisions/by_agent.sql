SELECT agent_name AS "Agent", sum(decisions)::double precision AS "Decisions"
FROM reporting.usage_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
WHERE outcome <> 'none'
    AND ('*' IN (${outcome:sqlstring}) OR outcome IN (${outcome:sqlstring}))
    AND ('*' IN (${host:sqlstring}) OR host IN (${host:sqlstring}))
    AND ('*' IN (${agent:sqlstring}) OR agent_name IN (${agent:sqlstring}))
    AND ('*' IN (${tool:sqlstring}) OR coalesce(tool_name, 'no tool') IN (${tool:sqlstring}))
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT 12
