-- The same numbers for two thirds of the work: functions of 0007 anew. Each event is looked at twice: once for what five
-- minutes brought of one session and series, once for its latency. All else is added up from that, and words are looked
-- up for it, where each event had been looked at six times, and its words three times.

CREATE OR REPLACE FUNCTION rollup_fill(beginning text, source text) RETURNS integer LANGUAGE plpgsql
-- The planner can't know how many rows come. To sort them, or look each up, costs more than a table of all series.
SET enable_mergejoin = off SET enable_nestloop = off AS $$
DECLARE
    number integer;
BEGIN
    IF to_regclass('pg_temp.counted_sessions') IS NULL THEN
        -- Once a connection; emptied by each commit, and never in the log. An older release has others of these names.
        DROP TABLE IF EXISTS pg_temp.counted_events, pg_temp.counted_totals, pg_temp.counted_latencies;
        CREATE TEMPORARY TABLE counted_events (
            occurred_at timestamptz, received_at timestamptz, five_minutes timestamptz, session_key bigint,
            latency_ms double precision, prompt_tokens bigint, completion_tokens bigint, total_tokens bigint,
            cached_tokens bigint, reasoning_tokens bigint, error_count integer, warning_count integer,
            series_key integer, day date, bucket smallint, success boolean, cost numeric
        ) ON COMMIT DELETE ROWS;
        CREATE TEMPORARY TABLE counted_sessions (
            five_minutes timestamptz, first_at timestamptz, last_at timestamptz, last_known_at timestamptz,
            first_received_at timestamptz, last_received_at timestamptz, session_key bigint, events bigint,
            unsuccessful bigint, latency_count bigint, latency_sum double precision, series_key integer, day date,
            least_delay real, errors numeric, warnings numeric, prompt_tokens numeric, completion_tokens numeric,
            total_tokens numeric, cached_tokens numeric, reasoning_tokens numeric, cost numeric
        ) ON COMMIT DELETE ROWS;
        CREATE TEMPORARY TABLE counted_totals (
            five_minutes timestamptz, hour timestamptz, last_at timestamptz, events bigint, failed bigint,
            latency_count bigint, latency_sum double precision, series_key integer, agent_key integer, day date,
            least_delay real, errors numeric, warnings numeric, prompt_tokens numeric, completion_tokens numeric,
            total_tokens numeric, cached_tokens numeric, reasoning_tokens numeric, cost numeric
        ) ON COMMIT DELETE ROWS;
        CREATE TEMPORARY TABLE counted_latencies (
            five_minutes timestamptz, hour timestamptz, n bigint, series_key integer, agent_key integer, day date,
            bucket smallint
        ) ON COMMIT DELETE ROWS;
    END IF;
    DELETE FROM counted_events;
    DELETE FROM counted_sessions;
    DELETE FROM counted_totals;
    DELETE FROM counted_latencies;
    PERFORM rollup_name_agents();
    EXECUTE format($sql$
        %s INSERT INTO counted_events
        SELECT e.occurred_at, e.received_at, date_bin('5 minutes', e.occurred_at, '2000-01-01Z'), e.session_key,
            e.latency_ms, e.prompt_tokens, e.completion_tokens, e.total_tokens, e.cached_tokens, e.reasoning_tokens,
            e.error_count, e.warning_count, e.series_key, (e.occurred_at AT TIME ZONE %L)::date,
            -- Bucket n is for latencies over 1.1^(n-1) and up to 1.1^n ms.
            CASE WHEN e.latency_ms > 0 THEN ceil(ln(e.latency_ms) / 0.09531017980432493)
                WHEN e.latency_ms IS NOT NULL THEN -32768 END,
            e.success, e.cost
        FROM %s
        $sql$, beginning, (SELECT time_zone FROM reporting_settings), source);
    GET DIAGNOSTICS number = ROW_COUNT;
    INSERT INTO counted_sessions
    SELECT five_minutes, min(occurred_at), max(occurred_at), max(least(occurred_at, received_at)), min(received_at),
        max(received_at), session_key, count(*), count(*) FILTER (WHERE NOT success), count(latency_ms),
        sum(latency_ms), series_key, day, min(date_part('epoch', received_at - occurred_at)), sum(error_count),
        sum(warning_count), sum(prompt_tokens), sum(completion_tokens), sum(total_tokens), sum(cached_tokens),
        sum(reasoning_tokens), sum(cost)
    FROM counted_events GROUP BY five_minutes, day, series_key, session_key;
    INSERT INTO counted_totals
    SELECT five_minutes, date_trunc('hour', five_minutes, 'UTC'), max(last_known_at), sum(events),
        sum(CASE WHEN s.outcome = 'failed' THEN events ELSE unsuccessful END), sum(latency_count), sum(latency_sum),
        series_key, agent_key, day, min(least_delay), sum(errors), sum(warnings), sum(prompt_tokens),
        sum(completion_tokens), sum(total_tokens), sum(cached_tokens), sum(reasoning_tokens), sum(cost)
    FROM counted_sessions JOIN series s USING (series_key) JOIN series_agents USING (series_key)
    GROUP BY five_minutes, day, series_key, agent_key;
    INSERT INTO counted_latencies
    SELECT five_minutes, date_trunc('hour', five_minutes, 'UTC'), n, series_key, agent_key, day, bucket
    FROM (SELECT five_minutes, day, series_key, bucket, count(*) AS n FROM counted_events
          WHERE bucket IS NOT NULL GROUP BY five_minutes, day, series_key, bucket) AS counted
    JOIN series_agents USING (series_key);
    INSERT INTO hosts AS h (host_id, first_seen_at, last_seen_at, client_version)
    SELECT s.host_id, min(c.first_at), max(c.last_at),
        (array_agg(s.client_version ORDER BY c.last_at DESC) FILTER (WHERE s.client_version IS NOT NULL))[1]
    FROM (SELECT series_key, min(first_received_at) AS first_at, max(last_received_at) AS last_at
          FROM counted_sessions GROUP BY series_key) AS c
    JOIN series s USING (series_key)
    GROUP BY s.host_id ORDER BY min(c.first_at), s.host_id
    ON CONFLICT (host_id) DO UPDATE SET
        first_seen_at = least(h.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(h.last_seen_at, excluded.last_seen_at),
        client_version = CASE WHEN excluded.last_seen_at >= h.last_seen_at
            THEN coalesce(excluded.client_version, h.client_version)
            ELSE coalesce(h.client_version, excluded.client_version) END;
    RETURN number;
END
$$;

CREATE OR REPLACE FUNCTION rollup_add_all(hours text, days text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- As numbers, not as a sum that is taken anew for each row.
    recent constant text := format(' AND five_minutes >= %L AND five_minutes < %L',
        now() - interval '8 days', now() + interval '1 day');
BEGIN
    PERFORM rollup_add('rollup_hours', 'hour', 'series_key', hours);
    PERFORM rollup_add('rollup_agent_hours', 'hour', 'agent_key', hours);
    PERFORM rollup_add('rollup_agent_recent', 'five_minutes', 'agent_key', hours || recent);
    PERFORM rollup_add('rollup_days', 'day', 'series_key', days);
    PERFORM rollup_add('rollup_agent_days', 'day', 'agent_key', days);
    EXECUTE format($sql$
        INSERT INTO rollup_session_hours (start, session_key, host_key)
        SELECT date_trunc('hour', five_minutes, 'UTC'), session_key, min(host_key)
        FROM counted_sessions JOIN series USING (series_key) JOIN hosts USING (host_id)
        WHERE %s GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT DO NOTHING
        $sql$, hours);
    EXECUTE format($sql$
        INSERT INTO rollup_session_days AS r (start, session_key, host_key, first_at, last_at, events, decisions,
            denied, failed, total_tokens, cost)
        SELECT day, session_key, min(host_key), min(first_at), max(last_at), sum(events),
            nullif(sum(events) FILTER (WHERE outcome <> 'none'), 0),
            nullif(sum(events) FILTER (WHERE outcome = 'denied'), 0),
            nullif(sum(CASE WHEN outcome = 'failed' THEN events ELSE unsuccessful END), 0),
            nullif(sum(total_tokens), 0), nullif(sum(cost), 0)
        FROM counted_sessions JOIN series USING (series_key) JOIN hosts USING (host_id)
        WHERE %s GROUP BY day, session_key ORDER BY day, session_key
        ON CONFLICT (start, session_key) DO UPDATE SET
            first_at = least(r.first_at, excluded.first_at),
            last_at = greatest(r.last_at, excluded.last_at),
            events = r.events + excluded.events,
            decisions = nullif(coalesce(r.decisions, 0) + coalesce(excluded.decisions, 0), 0),
            denied = nullif(coalesce(r.denied, 0) + coalesce(excluded.denied, 0), 0),
            failed = nullif(coalesce(r.failed, 0) + coalesce(excluded.failed, 0), 0),
            total_tokens = nullif(coalesce(r.total_tokens, 0) + coalesce(excluded.total_tokens, 0), 0),
            cost = nullif(coalesce(r.cost, 0) + coalesce(excluded.cost, 0), 0)
        $sql$, days);
END
$$;
