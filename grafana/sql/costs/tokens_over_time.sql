SELECT "time", kind AS metric, sum(n)::double precision AS value
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz),
    LATERAL (VALUES
        ('prompt', prompt_tokens - cached_tokens), ('cached prompt', cached_tokens), ('completion', completion_tokens)
    ) AS kinds(kind, n)
GROUP BY "time", kind
ORDER BY "time", kind
