SELECT
    last_seen_at AS "Last seen",
    key_host_id AS "Host",
    times::double precision AS "Times",
    (SELECT string_agg(key || ': ' || translate(value::text, '[]{}"', ''), ' ') FROM json_each(errors)) AS "Errors",
    left(event, 2000) AS "Event"
FROM reporting.quarantine
WHERE last_seen_at >= $__timeFrom()::timestamptz AND last_seen_at < $__timeTo()::timestamptz
ORDER BY last_seen_at DESC
LIMIT 200
