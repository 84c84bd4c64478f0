-- Silent ones first; those that were heard of last stand first among them, and among the others.
SELECT
    host AS "Host",
    CASE WHEN silent THEN 'silent ' ELSE '' END || CASE
        WHEN seconds_since_seen < 60 THEN seconds_since_seen || ' s'
        WHEN seconds_since_seen < 3600 THEN seconds_since_seen / 60 || ' min'
        WHEN seconds_since_seen < 172800 THEN seconds_since_seen / 3600 || ' h'
        ELSE seconds_since_seen / 86400 || ' days'
    END || CASE WHEN silent THEN '' ELSE ' ago' END AS "Last seen",
    client_version AS "Client"
FROM reporting.hosts
WHERE NOT gone
ORDER BY silent DESC, last_seen_at DESC, host
LIMIT 200
