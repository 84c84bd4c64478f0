SELECT DISTINCT coalesce(tool_name, 'no tool') FROM reporting.usage_between($__timeFrom()::timestamptz, $__timeTo()::timestamptz) ORDER BY 1
