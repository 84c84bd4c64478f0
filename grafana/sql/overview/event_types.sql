SELECT event_type AS "Name", sum(events)::double precision AS "Events"
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT 12
