SELECT sum(approved)::double precision / nullif(sum(decisions), 0) AS "Approval rate"
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
