-- By the hour up to 15 days, else by the day.
SELECT "time", host AS metric, sessions::double precision AS value
FROM reporting.session_counts_by_hour
WHERE $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '15 days'
    AND "time" >= date_trunc('hour', $__timeFrom()::timestamptz) AND "time" < $__timeTo()::timestamptz
    AND ('*' IN (${host:sqlstring}) OR host IN (${host:sqlstring}))
UNION ALL
SELECT "time", host, sessions::double precision
FROM reporting.session_counts_by_day
WHERE $__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '15 days'
    AND day >= ($__timeFrom()::timestamptz AT TIME ZONE (SELECT time_zone FROM reporting.site))::date
    AND day <= ($__timeTo()::timestamptz AT TIME ZONE (SELECT time_zone FROM reporting.site))::date
    AND ('*' IN (${host:sqlstring}) OR host IN (${host:sqlstring}))
ORDER BY "time", metric
