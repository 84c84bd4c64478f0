-- The span before, where anything was denied, and the span, where there is anything to take a share of.
SELECT $__timeFrom()::timestamptz AS "time", sum(denied)::double precision / nullif(sum(decisions), 0) AS "Denial rate"
FROM reporting.agents_between(
    $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz), $__timeFrom()::timestamptz)
HAVING sum(denied) > 0
UNION ALL
SELECT $__timeTo()::timestamptz, sum(denied)::double precision / nullif(sum(decisions), 0)
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
HAVING sum(decisions) > 0
ORDER BY 1
