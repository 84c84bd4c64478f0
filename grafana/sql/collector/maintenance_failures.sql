SELECT (SELECT failures FROM reporting.maintenance_runs ORDER BY ran_at DESC LIMIT 1)::double precision AS "Failures"
