SELECT coalesce(sum(total_tokens), 0)::double precision AS "Tokens"
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
