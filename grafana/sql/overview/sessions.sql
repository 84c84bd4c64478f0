-- The span before, where it had any, and the span.
SELECT "time", sessions::double precision AS "Sessions"
FROM (VALUES
    ($__timeFrom()::timestamptz, reporting.active_sessions(
        $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz),
        $__timeFrom()::timestamptz)),
    ($__timeTo()::timestamptz, reporting.active_sessions($__timeFrom()::timestamptz, $__timeTo()::timestamptz))
) AS spans("time", sessions)
WHERE sessions > 0 OR "time" = $__timeTo()::timestamptz
ORDER BY 1
