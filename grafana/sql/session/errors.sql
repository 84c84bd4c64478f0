SELECT sum(failed)::double precision AS "Errors"
FROM reporting.session_days
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
