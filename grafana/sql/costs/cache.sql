SELECT (sum(cached_tokens) / nullif(sum(prompt_tokens), 0))::double precision AS "Cache hit rate"
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
