SELECT count(*)::double precision AS "Gone"
FROM reporting.hosts WHERE gone
