SELECT extract(epoch FROM max(last_at) - min(first_at))::double precision AS "Length"
FROM reporting.session_days
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
