SELECT coalesce(sum(cost), 0)::double precision AS "Today"
FROM reporting.agent_days WHERE day = (SELECT today FROM reporting.site)
