SELECT to_char(month, 'YYYY-MM') AS "Month", sum(total_bytes)::double precision AS "Size"
FROM reporting.table_sizes WHERE month IS NOT NULL AND total_bytes > 65536
GROUP BY month
ORDER BY month
LIMIT 36
