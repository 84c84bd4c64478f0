SELECT
    table_name AS "Table",
    estimated_rows::double precision AS "Rows",
    total_bytes::double precision AS "Size",
    index_bytes::double precision AS "Indexes",
    (total_bytes / nullif(estimated_rows, 0))::double precision AS "A row"
FROM reporting.table_sizes
ORDER BY total_bytes DESC
LIMIT 50
