-- The newest ones, with their days of the week before. "from" and "to" are for the link: the session's own time, in
-- ms. By day first, for that is what the index is for.
WITH newest AS MATERIALIZED (
    SELECT day, host_id, session_id
    FROM reporting.session_days
    WHERE day >= ($__timeFrom()::timestamptz AT TIME ZONE (SELECT time_zone FROM reporting.site))::date
        AND day <= ($__timeTo()::timestamptz AT TIME ZONE (SELECT time_zone FROM reporting.site))::date
        AND last_at >= $__timeFrom()::timestamptz AND first_at < $__timeTo()::timestamptz
        AND ('*' IN (${host:sqlstring}) OR host_id IN (${host:sqlstring}))
        AND position(${text:sqlstring} IN session_id) > 0
    ORDER BY day DESC, last_at DESC
    LIMIT 200
)
SELECT
    max(last_at) AS "Last event",
    session_id AS "Session",
    host_id AS "Host",
    min(first_at) AS "Began",
    extract(epoch FROM max(last_at) - min(first_at))::double precision AS "Length",
    sum(events)::double precision AS "Events",
    sum(denied)::double precision AS "Denials",
    sum(failed)::double precision AS "Errors",
    sum(total_tokens)::double precision AS "Tokens",
    sum(cost)::double precision AS "Cost",
    max(t.message_count)::double precision AS "Messages",
    (extract(epoch FROM min(first_at) - interval '1 minute') * 1000)::bigint::text AS "from",
    (extract(epoch FROM max(last_at) + interval '1 minute') * 1000)::bigint::text AS "to"
FROM (SELECT DISTINCT host_id, session_id FROM newest) AS found
JOIN reporting.session_days USING (host_id, session_id)
LEFT JOIN reporting.transcripts AS t USING (host_id, session_id)
WHERE day >= (SELECT min(day) FROM newest) - 7 AND day <= (SELECT max(day) FROM newest)
GROUP BY host_id, session_id
ORDER BY "Last event" DESC
LIMIT 200
