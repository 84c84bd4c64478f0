SELECT events_waiting::double precision AS "Waiting"
FROM reporting.freshness
