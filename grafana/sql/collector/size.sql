SELECT sum(total_bytes)::double precision AS "Size"
FROM reporting.table_sizes
