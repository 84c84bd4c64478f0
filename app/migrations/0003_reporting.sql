-- The views of the schema reporting: all that Grafana, /glance and the summary read. docs/design.md lists them.
-- Who may read which is granted by `migrate` (app/store/readers.py).

-- Whether the reader sees hosts' names and costs. Whoever is not known to be trusted is a visitor; the owner may look as
-- one, by setting telemetry.reader to public. OFFSET 0 keeps it from being worked out for each row.
CREATE VIEW reader AS
SELECT
    s.time_zone, s.silent_after_minutes, trusted,
    trusted OR s.public_hosts AS sees_hosts,
    trusted OR s.public_costs AS sees_costs
FROM reporting_settings s
CROSS JOIN LATERAL (
    SELECT coalesce(current_setting('telemetry.reader', true), '') <> 'public' AND (
        current_user = 'grafana_private'
        OR pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'public.reporting_settings'::regclass), 'USAGE')
    ) AS trusted
) AS t
OFFSET 0;

CREATE VIEW reporting.site AS
SELECT
    time_zone, silent_after_minutes, sees_hosts, sees_costs,
    (now() AT TIME ZONE time_zone)::date AS today,
    (now() AT TIME ZONE time_zone)::date::timestamp AT TIME ZONE time_zone AS today_began_at
FROM reader;

-- The upper end of bucket n is 1.1^n ms; its middle, by ratio, is at most 4.9 % away from anything in it.
CREATE FUNCTION reporting.bucket_ms(bucket smallint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN bucket > -32768 THEN exp((bucket - 0.5) * 0.09531017980432493) ELSE 0 END;

-- The latency in ms that a share `p` of all stays within, as percentile_disc has it, with an error of at most 4.9 %. The
-- arrays are buckets and how many in each, in any order; a bucket may stand there twice.
CREATE FUNCTION reporting.percentile(p double precision, buckets smallint[], counts numeric[])
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    SELECT reporting.bucket_ms(bucket)
    FROM (
        SELECT bucket, sum(sum(n)) OVER (ORDER BY bucket) AS within, sum(sum(n)) OVER () AS total
        FROM unnest(buckets, counts) AS u(bucket, n) GROUP BY bucket
    ) AS h
    WHERE within >= p * total
    ORDER BY bucket LIMIT 1
);

DO $do$
DECLARE
    measures constant text := $$
    CASE WHEN w.outcome <> 'none' THEN r.events ELSE 0 END AS decisions,
    CASE WHEN w.outcome IN ('approved', 'confirmed', 'continued', 'succeeded') THEN r.events ELSE 0 END AS approved,
    CASE WHEN w.outcome = 'denied' THEN r.events ELSE 0 END AS denied,
    coalesce(r.failed, 0) AS failed,
    coalesce(r.errors, 0) AS errors,
    coalesce(r.warnings, 0) AS warnings,
    coalesce(r.latency_count, 0) AS latency_count,
    coalesce(r.latency_sum, 0) AS latency_sum_ms,
    CASE WHEN reader.sees_costs THEN coalesce(r.prompt_tokens, 0) END AS prompt_tokens,
    CASE WHEN reader.sees_costs THEN coalesce(r.completion_tokens, 0) END AS completion_tokens,
    CASE WHEN reader.sees_costs THEN coalesce(r.total_tokens, 0) END AS total_tokens,
    CASE WHEN reader.sees_costs THEN coalesce(r.cached_tokens, 0) END AS cached_tokens,
    CASE WHEN reader.sees_costs THEN coalesce(r.reasoning_tokens, 0) END AS reasoning_tokens,
    CASE WHEN reader.sees_costs THEN coalesce(r.cost, 0) END AS cost,
    r.last_at,
    r.least_delay AS least_delay_s,
    r.latency_buckets,
    r.latency_counts$$;
    day constant text := 'r.start AS day, r.start::timestamp AT TIME ZONE reader.time_zone AS "time"';
    agent_words constant text :=
        'w.agent_name, w.event_type, w.outcome, w.hook_name, w.mode, w.execution_type, w.model_tier, w.model_name,'
        ' w.provider';
    words constant text := agent_words ||
        ', w.tool_name, w.client_version, CASE WHEN reader.sees_hosts THEN w.host_id ELSE ''host '' || h.host_key END'
        ' AS host';
    agents constant text := 'agent_series w ON w.agent_key = r.key';
    everything constant text := 'series w ON w.series_key = r.key JOIN hosts h ON h.host_id = w.host_id';
    template constant text :=
        'CREATE VIEW reporting.%I AS SELECT %s, %s, r.events, %s FROM %I r JOIN %s CROSS JOIN reader';
BEGIN
    EXECUTE format(template, 'agent_recent', 'r.start AS "time"', agent_words, measures, 'rollup_agent_recent', agents);
    EXECUTE format(template, 'agent_hours', 'r.start AS "time"', agent_words, measures, 'rollup_agent_hours', agents);
    EXECUTE format(template, 'agent_days', day, agent_words, measures, 'rollup_agent_days', agents);
    EXECUTE format(template, 'usage_hours', 'r.start AS "time"', words, measures, 'rollup_hours', everything);
    EXECUTE format(template, 'usage_days', day, words, measures, 'rollup_days', everything);
END
$do$;

-- A host is silent after some minutes without an event, by its receipt, and forgotten after seven days.
CREATE VIEW reporting.hosts AS
SELECT
    CASE WHEN reader.sees_hosts THEN h.host_id ELSE 'host ' || h.host_key END AS host,
    h.first_seen_at, h.last_seen_at, h.client_version,
    now() - h.last_seen_at > make_interval(mins => reader.silent_after_minutes)
        AND now() - h.last_seen_at <= interval '7 days' AS silent,
    now() - h.last_seen_at > interval '7 days' AS gone,
    greatest(0, extract(epoch FROM now() - h.last_seen_at))::bigint AS seconds_since_seen,
    clock.least_delay_s
FROM hosts h
CROSS JOIN reader
-- The least time from an event to its receipt in the last day: below 0, the host's clock is ahead; far above, behind.
LEFT JOIN (
    SELECT w.host_id, min(r.least_delay) AS least_delay_s
    FROM rollup_hours r JOIN series w ON w.series_key = r.key
    WHERE r.start >= now() - interval '25 hours' GROUP BY w.host_id
) AS clock USING (host_id);

-- A session has one host, so the sum over hosts is the number of different sessions; over hours or days it is not, for
-- that there is active_sessions().
CREATE VIEW reporting.session_counts_by_hour AS
SELECT
    s.start AS "time",
    CASE WHEN reader.sees_hosts THEN h.host_id ELSE 'host ' || h.host_key END AS host,
    s.sessions
FROM (SELECT start, host_key, count(*) AS sessions FROM rollup_session_hours GROUP BY start, host_key) AS s
JOIN hosts h USING (host_key)
CROSS JOIN reader;

CREATE VIEW reporting.session_counts_by_day AS
SELECT
    s.start AS day, s.start::timestamp AT TIME ZONE reader.time_zone AS "time",
    CASE WHEN reader.sees_hosts THEN h.host_id ELSE 'host ' || h.host_key END AS host,
    s.sessions
FROM (
    SELECT start, host_key, count(*) AS sessions FROM rollup_session_days GROUP BY start, host_key
    UNION ALL
    SELECT start, host_key, sessions FROM rollup_session_counts
) AS s
JOIN hosts h USING (host_key)
CROSS JOIN reader;

-- How many different sessions had an event from the hour of `since` to before `until`. Over more than 15 days whole days
-- count, and a session that goes over midnight counts twice where its events are deleted already.
CREATE FUNCTION reporting.active_sessions(since timestamptz, until timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone text := (SELECT time_zone FROM public.reporting_settings);
    first date := (since AT TIME ZONE zone)::date;
    last date := (until AT TIME ZONE zone)::date;
BEGIN
    IF until - since <= interval '15 days' THEN
        RETURN (
            SELECT count(*) FROM (
                SELECT DISTINCT session_key FROM public.rollup_session_hours
                WHERE start >= date_trunc('hour', since, 'UTC') AND start < until) AS s);
    END IF;
    RETURN (
        SELECT count(*) FROM (
            SELECT DISTINCT session_key FROM public.rollup_session_days WHERE start BETWEEN first AND last) AS s
    ) + (
        SELECT coalesce(sum(sessions), 0)::bigint FROM public.rollup_session_counts WHERE start BETWEEN first AND last);
END
$$;

-- How far the roll-ups are behind: nothing waits, or the oldest event that does was stored so many seconds ago.
CREATE VIEW reporting.freshness AS
SELECT
    coalesce(sum(q.events), 0)::bigint AS events_waiting,
    min(q.queued_at) AS oldest_waiting_at,
    coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(q.queued_at))), 0)::double precision AS lag_seconds,
    (SELECT count(*) FROM rollup_backlog) AS days_to_rebuild,
    count(*) AS batches_waiting
FROM rollup_queue q;

-- From here on: what only those who log in may see.

-- A row a session and day; group by host_id and session_id.
CREATE VIEW reporting.session_days AS
SELECT
    d.start AS day, n.host_id, n.session_id, d.first_at, d.last_at, d.events,
    coalesce(d.decisions, 0) AS decisions, coalesce(d.denied, 0) AS denied, coalesce(d.failed, 0) AS failed,
    coalesce(d.total_tokens, 0) AS total_tokens, coalesce(d.cost, 0) AS cost
FROM rollup_session_days d
JOIN sessions n USING (session_key);

CREATE VIEW reporting.transcripts AS
SELECT host_id, session_id, created_at, updated_at, message_count FROM session_transcripts;

-- A message as a person reads it. A block of which nothing is known here stands as its JSON.
CREATE FUNCTION reporting.message_text(content json) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF json_typeof(content) = 'string' THEN
        RETURN content #>> '{}';
    ELSIF json_typeof(content) IS DISTINCT FROM 'array' THEN
        RETURN content::text;
    END IF;
    RETURN (
        SELECT string_agg(
            CASE
                WHEN json_typeof(block) = 'string' THEN block #>> '{}'
                WHEN json_typeof(block) <> 'object' THEN block::text
                WHEN block ->> 'type' = 'text' AND block ->> 'text' IS NOT NULL THEN block ->> 'text'
                WHEN block ->> 'type' = 'thinking' AND block ->> 'thinking' IS NOT NULL THEN block ->> 'thinking'
                WHEN block ->> 'type' = 'tool_use' THEN concat('[', block ->> 'name', '] ', block -> 'input')
                WHEN block ->> 'type' = 'tool_result' AND json_typeof(block -> 'content') IN ('string', 'array')
                    THEN reporting.message_text(block -> 'content')
                ELSE block::text
            END, E'\n' ORDER BY place)
        FROM json_array_elements(content) WITH ORDINALITY AS blocks(block, place));
END
$$;

CREATE VIEW reporting.transcript_messages AS
SELECT
    t.host_id, t.session_id, m.place - 1 AS message_index, m.message ->> 'role' AS role,
    reporting.message_text(m.message -> 'content') AS text, m.message -> 'content' AS content
FROM session_transcripts t
CROSS JOIN LATERAL json_array_elements(t.messages) WITH ORDINALITY AS m(message, place);

CREATE VIEW reporting.quarantine AS
SELECT id, key_host_id, times, first_seen_at, last_seen_at, errors, event FROM quarantined_events;

CREATE VIEW reporting.refused_transcripts AS
SELECT host_id, times, last_refused_at FROM refused_transcripts;

-- Bytes by table, TOAST and indexes included; a month's events are a table each, and have their month.
CREATE VIEW reporting.table_sizes AS
SELECT
    c.relname::text AS table_name,
    CASE WHEN c.relname ~ '^telemetry_events_[0-9]{6}$' THEN to_date(right(c.relname, 6), 'YYYYMM') END AS month,
    pg_total_relation_size(c.oid) AS total_bytes,
    pg_indexes_size(c.oid) AS index_bytes,
    greatest(c.reltuples, 0)::bigint AS estimated_rows
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace;
