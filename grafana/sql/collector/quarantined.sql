SELECT coalesce(sum(times), 0)::double precision AS "Quarantined"
FROM reporting.quarantine
WHERE last_seen_at >= $__timeFrom()::timestamptz AND last_seen_at < $__timeTo()::timestamptz
