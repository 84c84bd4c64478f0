SELECT host_id AS "Host", times::double precision AS "Times", last_refused_at AS "Last"
FROM reporting.refused_transcripts
ORDER BY last_refused_at DESC
LIMIT 100
