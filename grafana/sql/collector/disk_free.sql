SELECT max(free_bytes)::double precision AS "Free"
FROM reporting.disk
