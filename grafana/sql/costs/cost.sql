SELECT coalesce(sum(cost), 0)::double precision AS "Cost"
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
