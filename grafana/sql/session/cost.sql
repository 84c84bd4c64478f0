SELECT sum(cost)::double precision AS "Cost"
FROM reporting.session_days
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
