SELECT extract(epoch FROM now() - max(ran_at))::double precision AS "Age"
FROM reporting.maintenance_runs
