-- Any span of time at the coarseness that suits it: a dashboard asks these, whatever range its reader picks. Each is the
-- span's rows of one roll-up, whole ones, from the one in which `since` lies:
--   up to 12 hours of the last week   five minutes (agents only)
--   up to 15 days                     an hour
--   longer                            a day of the settings' time zone
-- Plain SQL of one statement and not STRICT, so that PostgreSQL puts it in place of its call and plans what is left of it.
DO $do$
DECLARE
    body constant text := $$
CREATE FUNCTION reporting.%1$I(since timestamptz, until timestamptz) RETURNS SETOF reporting.%2$I
LANGUAGE sql STABLE PARALLEL SAFE AS $sql$
    %5$s SELECT %4$s FROM reporting.%2$I
    WHERE until - since <= interval '15 days' AND NOT (%6$s)
        AND "time" >= date_bin('1 hour', since, '2000-01-01Z') AND "time" < until
    UNION ALL
    SELECT %4$s FROM reporting.%3$I
    WHERE until - since > interval '15 days'
        AND day >= (since AT TIME ZONE (SELECT time_zone FROM reporting.site))::date
        AND day <= ((until - interval '1 microsecond') AT TIME ZONE (SELECT time_zone FROM reporting.site))::date
$sql$
$$;
    finest constant text := $$
    SELECT %1$s FROM reporting.agent_recent
    WHERE %2$s AND "time" >= date_bin('5 minutes', since, '2000-01-01Z') AND "time" < until
    UNION ALL$$;
    finest_suits constant text := $$until - since <= interval '12 hours' AND since >= now() - interval '7 days'$$;
    columns text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
    FROM pg_attribute WHERE attrelid = 'reporting.agent_hours'::regclass AND attnum > 0;
    EXECUTE format(body, 'agents_between', 'agent_hours', 'agent_days', columns,
        format(finest, columns, finest_suits), finest_suits);
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
    FROM pg_attribute WHERE attrelid = 'reporting.usage_hours'::regclass AND attnum > 0;
    EXECUTE format(body, 'usage_between', 'usage_hours', 'usage_days', columns, '', 'false');
END
$do$;
