-- By the outcomes that /glance knows. A step is five minutes, an hour or a day, as the range wants.
SELECT "time", metric, value
FROM (
    SELECT
        "time",
        sum(approved)::double precision AS approved,
        sum(denied)::double precision AS denied,
        sum(decisions) FILTER (WHERE outcome = 'failed')::double precision AS failed,
        sum(decisions) FILTER (WHERE outcome = 'other')::double precision AS other
    FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
    WHERE outcome <> 'none'
    GROUP BY "time"
) AS steps,
    LATERAL (VALUES ('approved', approved), ('denied', denied), ('failed', failed), ('other', other)) AS m(metric, value)
WHERE value > 0
ORDER BY "time", metric
