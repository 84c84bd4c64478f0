SELECT extract(epoch FROM now() - max(taken_at))::double precision AS "Age"
FROM reporting.backups
