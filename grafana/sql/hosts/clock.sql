-- The clock that is furthest off: behind where its events seem old at their receipt, ahead where they come from the future.
SELECT max(abs(least_delay_s))::double precision AS "Clock"
FROM reporting.hosts WHERE NOT gone
