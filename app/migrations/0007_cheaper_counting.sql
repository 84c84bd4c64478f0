-- The same numbers for half the work: functions of 0002 and 0005 anew. What five minutes bring of one series is added
-- up once, and the roll-ups are made of that; each had added up all events, up to a third of what PostgreSQL did.

-- Notes in pieces that fit their page: a longer one would be compressed, and moved out of line.
CREATE OR REPLACE FUNCTION queue_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.rollup_queue (
        events, occurred_at, received_at, series_key, session_key, success, error_count, warning_count, latency_ms,
        prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, cost)
    SELECT
        count(*), array_agg(occurred_at),
        CASE WHEN min(received_at) = max(received_at) THEN ARRAY[min(received_at)] ELSE array_agg(received_at) END,
        array_agg(series_key), array_agg(session_key), array_agg(success), array_agg(error_count),
        array_agg(warning_count), array_agg(latency_ms), array_agg(prompt_tokens), array_agg(completion_tokens),
        array_agg(total_tokens), array_agg(cached_tokens), array_agg(reasoning_tokens), array_agg(cost)
    FROM (SELECT *, (row_number() OVER () - 1) / 75 AS piece FROM fresh) AS f
    GROUP BY piece;
    RETURN NULL;
END
$$;

-- Fills three tables with the rows of `source` (a FROM item); gives how many there were. `counted_events` has them one
-- by one, with what the roll-ups go by; `counted_totals` and `counted_latencies` add up what five minutes of one date
-- brought of one series. What a row of the source brings along is written before: `beginning` may be a WITH clause.
CREATE OR REPLACE FUNCTION rollup_fill(beginning text, source text) RETURNS integer LANGUAGE plpgsql
-- The planner can't know how many rows come. To sort them, or look each up, costs more than a table of all series.
SET enable_mergejoin = off SET enable_nestloop = off AS $$
DECLARE
    number integer;
BEGIN
    IF to_regclass('pg_temp.counted_events') IS NULL THEN
        -- Once a connection; emptied by each commit, and never in the log.
        CREATE TEMPORARY TABLE counted_events (
            occurred_at timestamptz, received_at timestamptz, five_minutes timestamptz, session_key bigint,
            latency_ms double precision, prompt_tokens bigint, completion_tokens bigint, total_tokens bigint,
            cached_tokens bigint, reasoning_tokens bigint, error_count integer, warning_count integer,
            series_key integer, agent_key integer, day date, bucket smallint, failed boolean, cost numeric
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
    DELETE FROM counted_totals;
    DELETE FROM counted_latencies;
    PERFORM rollup_name_agents();
    EXECUTE format($sql$
        %s INSERT INTO counted_events
        SELECT e.occurred_at, e.received_at, date_bin('5 minutes', e.occurred_at, '2000-01-01Z'), e.session_key,
            e.latency_ms, e.prompt_tokens, e.completion_tokens, e.total_tokens, e.cached_tokens, e.reasoning_tokens,
            e.error_count, e.warning_count, e.series_key, a.agent_key, (e.occurred_at AT TIME ZONE %L)::date,
            -- Bucket n is for latencies over 1.1^(n-1) and up to 1.1^n ms.
            CASE WHEN e.latency_ms > 0 THEN ceil(ln(e.latency_ms) / 0.09531017980432493)
                WHEN e.latency_ms IS NOT NULL THEN -32768 END,
            s.outcome = 'failed' OR e.success IS FALSE, e.cost
        FROM %s JOIN series s USING (series_key) JOIN series_agents a USING (series_key)
        $sql$, beginning, (SELECT time_zone FROM reporting_settings), source);
    GET DIAGNOSTICS number = ROW_COUNT;
    INSERT INTO counted_totals
    SELECT five_minutes, date_trunc('hour', five_minutes, 'UTC'), max(least(occurred_at, received_at)),
        count(*), count(*) FILTER (WHERE failed), count(latency_ms), sum(latency_ms), series_key, agent_key, day,
        min(date_part('epoch', received_at - occurred_at)), sum(error_count), sum(warning_count), sum(prompt_tokens),
        sum(completion_tokens), sum(total_tokens), sum(cached_tokens), sum(reasoning_tokens), sum(cost)
    FROM counted_events GROUP BY five_minutes, day, series_key, agent_key;
    INSERT INTO counted_latencies
    SELECT five_minutes, date_trunc('hour', five_minutes, 'UTC'), count(*), series_key, agent_key, day, bucket
    FROM counted_events WHERE bucket IS NOT NULL GROUP BY five_minutes, day, series_key, agent_key, bucket;
    INSERT INTO hosts AS h (host_id, first_seen_at, last_seen_at, client_version)
    SELECT s.host_id, min(c.first_at), max(c.last_at),
        (array_agg(s.client_version ORDER BY c.last_at DESC) FILTER (WHERE s.client_version IS NOT NULL))[1]
    FROM (SELECT series_key, min(received_at) AS first_at, max(received_at) AS last_at
          FROM counted_events GROUP BY series_key) AS c
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

-- Adds what was counted to one roll-up: `start` and `key` are the columns of `counted_totals` that are its own.
CREATE OR REPLACE FUNCTION rollup_add(rollup regclass, start text, key text, condition text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        WITH totals AS MATERIALIZED (
            SELECT %2$I AS start, %3$I AS key,
                sum(events)::bigint AS events,
                max(last_at) AS last_at,
                nullif(sum(failed)::bigint, 0) AS failed,
                nullif(sum(latency_count)::bigint, 0) AS latency_count,
                sum(latency_sum) AS latency_sum,
                min(least_delay) AS least_delay,
                nullif(sum(errors), 0) AS errors,
                nullif(sum(warnings), 0) AS warnings,
                nullif(sum(prompt_tokens), 0) AS prompt_tokens,
                nullif(sum(completion_tokens), 0) AS completion_tokens,
                nullif(sum(total_tokens), 0) AS total_tokens,
                nullif(sum(cached_tokens), 0) AS cached_tokens,
                nullif(sum(reasoning_tokens), 0) AS reasoning_tokens,
                nullif(sum(cost), 0) AS cost
            FROM counted_totals WHERE %4$s GROUP BY %2$I, %3$I
        ), cells AS (
            SELECT start, key, bucket, least(sum(n), 2147483647)::integer AS n
            FROM (
                SELECT %2$I AS start, %3$I AS key, bucket, n FROM counted_latencies WHERE %4$s
                UNION ALL
                SELECT r.start, r.key, h.bucket, h.n
                FROM totals t JOIN %1$s r USING (start, key),
                    unnest(r.latency_buckets, r.latency_counts) AS h(bucket, n)
            ) AS both_of_them
            GROUP BY start, key, bucket ORDER BY start, key, bucket
        ), histograms AS (
            SELECT start, key, array_agg(bucket) AS latency_buckets, array_agg(n) AS latency_counts
            FROM cells GROUP BY start, key
        )
        INSERT INTO %1$s AS r (start, key, events, last_at, failed, latency_count, latency_sum, least_delay, errors,
            warnings, prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, cost,
            latency_buckets, latency_counts)
        SELECT start, key, events, last_at, failed, latency_count, latency_sum, least_delay, errors, warnings,
            prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, cost, latency_buckets,
            latency_counts
        FROM totals LEFT JOIN histograms USING (start, key) ORDER BY start, key
        ON CONFLICT (start, key) DO UPDATE SET
            events = r.events + excluded.events,
            last_at = greatest(r.last_at, excluded.last_at),
            failed = nullif(coalesce(r.failed, 0) + coalesce(excluded.failed, 0), 0),
            latency_count = nullif(coalesce(r.latency_count, 0) + coalesce(excluded.latency_count, 0), 0),
            latency_sum = nullif(coalesce(r.latency_sum, 0) + coalesce(excluded.latency_sum, 0), 0),
            least_delay = least(r.least_delay, excluded.least_delay),
            errors = nullif(coalesce(r.errors, 0) + coalesce(excluded.errors, 0), 0),
            warnings = nullif(coalesce(r.warnings, 0) + coalesce(excluded.warnings, 0), 0),
            prompt_tokens = nullif(coalesce(r.prompt_tokens, 0) + coalesce(excluded.prompt_tokens, 0), 0),
            completion_tokens = nullif(coalesce(r.completion_tokens, 0) + coalesce(excluded.completion_tokens, 0), 0),
            total_tokens = nullif(coalesce(r.total_tokens, 0) + coalesce(excluded.total_tokens, 0), 0),
            cached_tokens = nullif(coalesce(r.cached_tokens, 0) + coalesce(excluded.cached_tokens, 0), 0),
            reasoning_tokens = nullif(coalesce(r.reasoning_tokens, 0) + coalesce(excluded.reasoning_tokens, 0), 0),
            cost = nullif(coalesce(r.cost, 0) + coalesce(excluded.cost, 0), 0),
            latency_buckets = excluded.latency_buckets,
            latency_counts = excluded.latency_counts
        $sql$, rollup, start, key, condition);
END
$$;

-- Adds what was counted to every roll-up: to those by the hour where `hours` holds, to those by the day where `days`
-- does: conditions on the columns `five_minutes` and `day`.
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
        FROM counted_events JOIN series USING (series_key) JOIN hosts USING (host_id)
        WHERE %s GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT DO NOTHING
        $sql$, hours);
    EXECUTE format($sql$
        INSERT INTO rollup_session_days AS r (start, session_key, host_key, first_at, last_at, events, decisions,
            denied, failed, total_tokens, cost)
        SELECT day, session_key, min(host_key), min(occurred_at), max(occurred_at), count(*),
            nullif(count(*) FILTER (WHERE outcome <> 'none'), 0), nullif(count(*) FILTER (WHERE outcome = 'denied'), 0),
            nullif(count(*) FILTER (WHERE failed), 0), nullif(sum(total_tokens), 0), nullif(sum(cost), 0)
        FROM counted_events JOIN series USING (series_key) JOIN hosts USING (host_id)
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

-- Counts one day anew from its events and returns how many: hours of that day in UTC, and the day of that date in the
-- settings' time zone. Where some of its events are gone (not `complete`), what has more than they give stays as it is.
-- The transaction must be REPEATABLE READ, and begin when the lock is held: the notes that it sees are of events that
-- it sees too, and are used up first.
CREATE OR REPLACE FUNCTION count_day(day date, complete boolean) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    zone constant text := (SELECT time_zone FROM reporting_settings);
    utc_start constant timestamptz := day::timestamp AT TIME ZONE 'UTC';
    utc_end constant timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
    day_start constant timestamptz := day::timestamp AT TIME ZONE zone;
    day_end constant timestamptz := (day + 1)::timestamp AT TIME ZONE zone;
    hours text := format('five_minutes >= %L AND five_minutes < %L', utc_start, utc_end);
    days text := format('day = %L', day);
    -- Where clocks are changed at midnight, a date may begin before its midnight.
    margin constant interval := CASE WHEN zone = 'UTC' THEN '0' ELSE '3 hours' END;
    number integer;
BEGIN
    WHILE count_notes(1000000) > 0 LOOP
    END LOOP;
    number := rollup_fill('', format(
        '(SELECT * FROM telemetry_events WHERE occurred_at >= %L AND occurred_at < %L) e',
        least(utc_start, day_start) - margin, greatest(utc_end, day_end) + margin));
    IF complete
        OR (SELECT coalesce(sum(events), 0) FROM counted_totals
            WHERE five_minutes >= utc_start AND five_minutes < utc_end)
        >= (SELECT coalesce(sum(events), 0) FROM rollup_agent_hours WHERE start >= utc_start AND start < utc_end)
    THEN
        DELETE FROM rollup_hours WHERE start >= utc_start AND start < utc_end;
        DELETE FROM rollup_agent_hours WHERE start >= utc_start AND start < utc_end;
        DELETE FROM rollup_agent_recent WHERE start >= utc_start AND start < utc_end;
        DELETE FROM rollup_session_hours WHERE start >= utc_start AND start < utc_end;
    ELSE
        hours := 'false';
    END IF;
    IF complete
        OR (SELECT coalesce(sum(events), 0) FROM counted_totals c WHERE c.day = count_day.day)
        >= (SELECT coalesce(sum(events), 0) FROM rollup_agent_days WHERE start = day)
    THEN
        DELETE FROM rollup_days WHERE start = day;
        DELETE FROM rollup_agent_days WHERE start = day;
        DELETE FROM rollup_session_days WHERE start = day;
        DELETE FROM rollup_session_counts WHERE start = day;
    ELSE
        days := 'false';
    END IF;
    PERFORM rollup_add_all(hours, days);
    RETURN number;
END
$$;
