SELECT
    h.host AS "Host",
    CASE WHEN h.gone THEN 'gone' WHEN h.silent THEN 'silent' ELSE 'active' END AS "State",
    h.last_seen_at AS "Last seen",
    h.client_version AS "Client",
    coalesce(u.events, 0)::double precision AS "Events",
    (u.denied / nullif(u.decisions, 0))::double precision AS "Denial rate",
    (u.failed / nullif(u.events, 0))::double precision AS "Error rate",
    h.least_delay_s::double precision AS "Clock",
    h.first_seen_at AS "First seen"
FROM reporting.hosts AS h
LEFT JOIN (
    SELECT host, sum(events) AS events, sum(decisions) AS decisions, sum(denied) AS denied, sum(failed) AS failed
    FROM reporting.usage_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz) GROUP BY host
) AS u USING (host)
ORDER BY h.gone, h.silent DESC, h.last_seen_at DESC
LIMIT 500
