SELECT "time", event_type AS metric, sum(events)::double precision AS value
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY "time", event_type
ORDER BY "time", event_type
