SELECT reporting.active_sessions($__timeFrom()::timestamptz, $__timeTo()::timestamptz)::double precision AS "Sessions"
