SELECT sum(denied)::double precision AS "Denials"
FROM reporting.session_days
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
