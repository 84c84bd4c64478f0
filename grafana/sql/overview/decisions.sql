-- A step is five minutes, an hour or a day, as the range wants.
SELECT "time", outcome AS metric, sum(decisions)::double precision AS value
FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
WHERE outcome <> 'none'
GROUP BY "time", outcome
ORDER BY "time", array_position(
    ARRAY['approved', 'confirmed', 'continued', 'succeeded', 'denied', 'failed', 'other'], outcome)
