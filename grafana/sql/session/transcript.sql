SELECT message_index + 1 AS "No.", role AS "Role", text AS "Message"
FROM reporting.transcript_messages
WHERE host_id = ${host:sqlstring} AND session_id = ${session:sqlstring}
ORDER BY message_index
LIMIT 2000
