SELECT agent_name AS "Agent", sum(cost)::double precision AS "Cost"
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY 1
HAVING sum(cost) > 0
ORDER BY 2 DESC, 1
LIMIT 15
