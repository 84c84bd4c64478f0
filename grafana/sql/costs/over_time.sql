SELECT "time", coalesce(model_name, 'no model') AS metric, sum(cost)::double precision AS value
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY "time", metric
HAVING sum(cost) > 0
ORDER BY "time", metric
