SELECT coalesce(client_version, 'unknown') AS "Client", count(*)::double precision AS "Hosts"
FROM reporting.hosts WHERE NOT gone
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT 15
