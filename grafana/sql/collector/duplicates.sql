SELECT (sum(duplicates) / nullif(sum(stored) + sum(duplicates), 0))::double precision AS "Duplicates"
FROM reporting.collector_samples
WHERE "time" >= $__timeFrom()::timestamptz AND "time" < $__timeTo()::timestamptz
