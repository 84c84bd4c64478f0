-- Hosts that are not silent now, and agents that were asked anything in the span.
SELECT
    (SELECT count(*) FROM reporting.hosts WHERE NOT silent AND NOT gone)::double precision AS "Hosts",
    (SELECT count(DISTINCT agent_name)
     FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz))::double precision AS "Agents"
