SELECT "time", host AS metric, sum(events)::double precision AS value
FROM reporting.usage_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY "time", host
ORDER BY "time", host
