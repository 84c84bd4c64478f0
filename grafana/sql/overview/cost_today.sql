-- Since midnight in the site's time zone, whatever range is shown; NULL where costs are hidden from visitors.
SELECT CASE WHEN site.sees_costs THEN coalesce(sum(u.cost), 0)::double precision END AS "Cost today"
FROM reporting.site
LEFT JOIN reporting.agent_days AS u ON u.day = site.today
GROUP BY site.sees_costs
