SELECT sum(total_tokens)::double precision AS "Tokens"
FROM reporting.session_days
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
