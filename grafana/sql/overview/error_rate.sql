-- The span before, where anything failed, and the span, where there is anything to take a share of.
SELECT $__timeFrom()::timestamptz AS "time", sum(failed)::double precision / nullif(sum(events), 0) AS "Error rate"
FROM reporting.agents_between(
    $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz), $__timeFrom()::timestamptz)
HAVING sum(failed) > 0
UNION ALL
SELECT $__timeTo()::timestamptz, sum(failed)::double precision / nullif(sum(events), 0)
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
HAVING sum(events) > 0
ORDER BY 1
