SELECT sum(events)::double precision AS "Events"
FROM reporting.session_days
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
