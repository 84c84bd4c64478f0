SELECT coalesce(tool_name, 'no tool') AS "Tool", sum(denied)::double precision AS "Denials"
FROM reporting.usage_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY 1
HAVING sum(denied) > 0
ORDER BY 2 DESC, 1
LIMIT 10
