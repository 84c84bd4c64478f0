SELECT DISTINCT agent_name FROM reporting.agents_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz) ORDER BY 1
