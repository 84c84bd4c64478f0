SELECT count(*)::double precision AS "Silent"
FROM reporting.hosts WHERE silent
