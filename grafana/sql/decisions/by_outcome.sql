SELECT "time", outcome AS metric, sum(decisions)::double precision AS value
FROM reporting.usage_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
WHERE outcome <> 'none'
    AND ('*' IN (${outcome:sqlstring}) OR outcome IN (${outcome:sqlstring}))
    AND ('*' IN (${host:sqlstring}) OR host IN (${host:sqlstring}))
    AND ('*' IN (${agent:sqlstring}) OR agent_name IN (${agent:sqlstring}))
    AND ('*' IN (${tool:sqlstring}) OR coalesce(tool_name, 'no tool') IN (${tool:sqlstring}))
GROUP BY "time", outcome
ORDER BY "time", array_position(ARRAY['approved', 'confirmed', 'continued', 'succeeded', 'denied', 'failed', 'other'], outcome)
