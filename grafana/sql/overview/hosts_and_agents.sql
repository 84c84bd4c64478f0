-- Hosts that are not silent now, and agents that were asked anything in the span.
SELECT hosts || CASE hosts WHEN 1 THEN ' host, ' ELSE ' hosts, ' END || agents || CASE agents WHEN 1 THEN ' agent' ELSE ' agents' END
    AS "Active"
FROM
    (SELECT count(*) AS hosts FROM reporting.hosts WHERE NOT silent AND NOT gone) AS h,
    (SELECT count(DISTINCT agent_name) AS agents
     FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz)) AS a
