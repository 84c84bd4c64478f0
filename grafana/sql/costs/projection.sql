-- What this month cost, and for what is left of it what a day of the last seven cost.
WITH site AS (
    SELECT today, date_trunc('month', today)::date AS month FROM reporting.site
), spent AS (
    SELECT
        coalesce(sum(cost) FILTER (WHERE day >= month), 0) AS this_month,
        coalesce(sum(cost) FILTER (WHERE day = today), 0) AS this_day,
        coalesce(sum(cost) FILTER (WHERE day < today AND day >= today - 7), 0) / 7 AS a_day
    FROM site JOIN reporting.agent_days ON day >= least(month, today - 7) AND day <= today
)
SELECT (
    this_month + greatest(a_day - this_day, 0) + a_day * ((month + interval '1 month')::date - today - 1)
)::double precision AS "By the month's end"
FROM site, spent
