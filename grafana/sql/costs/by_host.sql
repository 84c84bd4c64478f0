SELECT host AS "Host", sum(cost)::double precision AS "Cost"
FROM reporting.usage_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY 1
HAVING sum(cost) > 0
ORDER BY 2 DESC, 1
LIMIT 15
