-- The span before, where it had any, and the span.
SELECT $__timeFrom()::timestamptz AS "time", coalesce(sum(events), 0)::double precision AS "Events"
FROM reporting.agents_between(
    $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz), $__timeFrom()::timestamptz)
HAVING sum(events) > 0
UNION ALL
SELECT $__timeTo()::timestamptz, coalesce(sum(events), 0)::double precision
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
ORDER BY 1
