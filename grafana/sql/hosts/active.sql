SELECT count(*)::double precision AS "Active"
FROM reporting.hosts WHERE NOT silent AND NOT gone
