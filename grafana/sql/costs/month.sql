SELECT coalesce(sum(cost), 0)::double precision AS "This month"
FROM reporting.agent_days
WHERE day >= date_trunc('month', (SELECT today FROM reporting.site))::date AND day <= (SELECT today FROM reporting.site)
