SELECT coalesce(sum(times), 0)::double precision AS "Refused"
FROM reporting.refused_transcripts
