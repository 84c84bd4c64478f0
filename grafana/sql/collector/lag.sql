SELECT lag_seconds AS "Lag"
FROM reporting.freshness
