SELECT
    taken_at AS "Taken",
    bytes::double precision AS "Size",
    CASE WHEN copied THEN 'yes' ELSE 'no' END AS "Off the host"
FROM reporting.backups
ORDER BY taken_at DESC
LIMIT 50
