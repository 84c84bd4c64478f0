-- The span before and the span. Infinity is what nothing can be compared with: Grafana then shows no change.
WITH span AS (
    SELECT {value} AS value
    FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
), before AS (
    SELECT {value} AS value
    FROM reporting.agents_between(
        $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz), $__timeFrom()::timestamptz)
)
SELECT "time", v.value AS "{title}"
FROM span, before, LATERAL (VALUES
    ($__timeFrom()::timestamptz, coalesce(nullif(before.value, 0), 'Infinity')),
    ($__timeTo()::timestamptz, span.value)
) AS v("time", value)
WHERE span.value IS NOT NULL
ORDER BY 1
