SELECT max(days_left)::double precision AS "Days"
FROM reporting.disk
