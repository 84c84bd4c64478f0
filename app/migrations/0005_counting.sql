-- Counting: the functions that fill the roll-ups of 0002. They live here and not in a release's code, so that a release
-- that was rolled back counts as its schema does. count_notes and count_day fill a temporary table with events, from
-- their notes or from the events themselves, and add that up. The caller holds the lock of roll-ups (store/rollups.py),
-- so nobody else writes them meanwhile.

-- The words that roll-ups need and series do not have. A series is there before its first event is.
CREATE FUNCTION rollup_name_agents() RETURNS void LANGUAGE sql AS $$
    WITH named AS (
        SELECT s.*, sha256(convert_to(jsonb_build_array(agent_name, event_type, outcome, hook_name, mode, execution_type,
            model_tier, model_name, provider)::text, 'UTF8')) AS words_digest
        FROM series s WHERE NOT EXISTS (SELECT FROM series_agents k WHERE k.series_key = s.series_key)
    ), made AS (
        INSERT INTO agent_series (digest, agent_name, event_type, outcome, hook_name, mode, execution_type, model_tier,
            model_name, provider)
        SELECT DISTINCT ON (words_digest) words_digest, agent_name, event_type, outcome, hook_name, mode,
            execution_type, model_tier, model_name, provider
        FROM named WHERE NOT EXISTS (SELECT FROM agent_series a WHERE a.digest = words_digest) ORDER BY words_digest
        RETURNING digest, agent_key
    )
    INSERT INTO series_agents (series_key, agent_key)
    SELECT n.series_key, coalesce(a.agent_key, m.agent_key)
    FROM named n LEFT JOIN agent_series a ON a.digest = words_digest LEFT JOIN made m ON m.digest = words_digest
$$;

-- Fills the table `counted` with the rows of `source` (a FROM item), each with what the roll-ups go by; gives how many.
-- What a row of the source brings along is written before: `beginning` may be a WITH clause.
CREATE FUNCTION rollup_fill(beginning text, source text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    number integer;
BEGIN
    IF to_regclass('pg_temp.counted') IS NULL THEN
        -- Once a connection; emptied by each commit, and never in the log.
        CREATE TEMPORARY TABLE counted (
            occurred_at timestamptz, received_at timestamptz, five_minutes timestamptz, hour timestamptz,
            last_at timestamptz, session_key bigint, latency_ms double precision, prompt_tokens bigint,
            completion_tokens bigint, total_tokens bigint, cached_tokens bigint, reasoning_tokens bigint,
            error_count integer, warning_count integer, series_key integer, agent_key integer, day date, delay real,
            bucket smallint, failed boolean, cost numeric
        ) ON COMMIT DELETE ROWS;
    END IF;
    DELETE FROM counted;
    PERFORM rollup_name_agents();
    EXECUTE format($sql$
        %s INSERT INTO counted
        SELECT e.occurred_at, e.received_at, date_bin('5 minutes', e.occurred_at, '2000-01-01Z'),
            date_bin('1 hour', e.occurred_at, '2000-01-01Z'), least(e.occurred_at, e.received_at), e.session_key,
            e.latency_ms, e.prompt_tokens, e.completion_tokens, e.total_tokens, e.cached_tokens, e.reasoning_tokens,
            e.error_count, e.warning_count, e.series_key, a.agent_key, (e.occurred_at AT TIME ZONE %L)::date,
            date_part('epoch', e.received_at - e.occurred_at),
            -- Bucket n is for latencies over 1.1^(n-1) and up to 1.1^n ms.
            CASE WHEN e.latency_ms > 0 THEN ceil(ln(e.latency_ms) / 0.09531017980432493)
                WHEN e.latency_ms IS NOT NULL THEN -32768 END,
            s.outcome = 'failed' OR e.success IS FALSE, e.cost
        FROM %s JOIN series s USING (series_key) JOIN series_agents a USING (series_key)
        $sql$, beginning, (SELECT time_zone FROM reporting_settings), source);
    GET DIAGNOSTICS number = ROW_COUNT;
    INSERT INTO hosts AS h (host_id, first_seen_at, last_seen_at, client_version)
    SELECT s.host_id, min(c.first_at), max(c.last_at),
        (array_agg(s.client_version ORDER BY c.last_at DESC) FILTER (WHERE s.client_version IS NOT NULL))[1]
    FROM (SELECT series_key, min(received_at) AS first_at, max(received_at) AS last_at FROM counted GROUP BY 1) AS c
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

-- Adds the counted events to one roll-up: `start` and `key` are the columns of `counted` that are its own.
CREATE FUNCTION rollup_add(rollup regclass, start text, key text, condition text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        WITH totals AS MATERIALIZED (
            SELECT %2$I AS start, %3$I AS key,
                count(*) AS events,
                max(last_at) AS last_at,
                nullif(count(*) FILTER (WHERE failed), 0) AS failed,
                nullif(count(latency_ms), 0) AS latency_count,
                sum(latency_ms) AS latency_sum,
                min(delay) AS least_delay,
                nullif(sum(error_count), 0) AS errors,
                nullif(sum(warning_count), 0) AS warnings,
                nullif(sum(prompt_tokens), 0) AS prompt_tokens,
                nullif(sum(completion_tokens), 0) AS completion_tokens,
                nullif(sum(total_tokens), 0) AS total_tokens,
                nullif(sum(cached_tokens), 0) AS cached_tokens,
                nullif(sum(reasoning_tokens), 0) AS reasoning_tokens,
                nullif(sum(cost), 0) AS cost
            FROM counted WHERE %4$s GROUP BY %2$I, %3$I
        ), cells AS (
            SELECT start, key, bucket, least(sum(n), 2147483647)::integer AS n
            FROM (
                SELECT %2$I AS start, %3$I AS key, bucket, 1 AS n FROM counted WHERE bucket IS NOT NULL AND %4$s
                UNION ALL
                SELECT r.start, r.key, h.bucket, h.n
                FROM totals t JOIN %1$s r USING (start, key), unnest(r.latency_buckets, r.latency_counts) AS h(bucket, n)
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

-- Adds the counted events to every roll-up: to those by the hour where `hours` holds, to those by the day where `days`
-- does; both are conditions on a row of `counted`.
CREATE FUNCTION rollup_add_all(hours text, days text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM rollup_add('rollup_hours', 'hour', 'series_key', hours);
    PERFORM rollup_add('rollup_agent_hours', 'hour', 'agent_key', hours);
    PERFORM rollup_add('rollup_agent_recent', 'five_minutes', 'agent_key', hours
        || $s$ AND occurred_at >= now() - interval '8 days' AND occurred_at < now() + interval '1 day'$s$);
    PERFORM rollup_add('rollup_days', 'day', 'series_key', days);
    PERFORM rollup_add('rollup_agent_days', 'day', 'agent_key', days);
    EXECUTE format($sql$
        INSERT INTO rollup_session_hours (start, session_key, host_key)
        SELECT hour, session_key, min(host_key)
        FROM counted JOIN series USING (series_key) JOIN hosts USING (host_id)
        WHERE %s GROUP BY hour, session_key ORDER BY hour, session_key
        ON CONFLICT DO NOTHING
        $sql$, hours);
    EXECUTE format($sql$
        INSERT INTO rollup_session_days AS r (start, session_key, host_key, first_at, last_at, events, decisions, denied,
            failed, total_tokens, cost)
        SELECT day, session_key, min(host_key), min(occurred_at), max(occurred_at), count(*),
            nullif(count(*) FILTER (WHERE outcome <> 'none'), 0), nullif(count(*) FILTER (WHERE outcome = 'denied'), 0),
            nullif(count(*) FILTER (WHERE failed), 0), nullif(sum(total_tokens), 0), nullif(sum(cost), 0)
        FROM counted JOIN series USING (series_key) JOIN hosts USING (host_id)
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

-- Counts the events of notes, about `most` of them, and returns how many; their notes are gone then.
CREATE FUNCTION count_notes(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    number integer;
BEGIN
    number := rollup_fill(format($sql$
        WITH taken AS (
            DELETE FROM rollup_queue WHERE ctid = ANY (ARRAY(
                SELECT ctid
                FROM (SELECT ctid, sum(events) OVER (ROWS UNBOUNDED PRECEDING) - events AS before
                      FROM (SELECT ctid, events FROM rollup_queue LIMIT %1$s) AS waiting) AS added_up
                WHERE before < %1$s))
            RETURNING *
        ), noted AS (
            SELECT u.occurred_at, coalesce(u.received_at, t.received_at[1]) AS received_at, u.series_key, u.session_key,
                u.success, u.error_count, u.warning_count, u.latency_ms, u.prompt_tokens, u.completion_tokens,
                u.total_tokens, u.cached_tokens, u.reasoning_tokens, u.cost
            FROM taken t, unnest(
                t.occurred_at, t.received_at, t.series_key, t.session_key, t.success, t.error_count, t.warning_count,
                t.latency_ms, t.prompt_tokens, t.completion_tokens, t.total_tokens, t.cached_tokens, t.reasoning_tokens,
                t.cost
            ) AS u(occurred_at, received_at, series_key, session_key, success, error_count, warning_count, latency_ms,
                prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, cost)
        )$sql$, most), 'noted e');
    IF number > 0 THEN
        PERFORM rollup_add_all('true', 'true');
        DELETE FROM rollup_agent_recent WHERE start < now() - interval '8 days';
    END IF;
    RETURN number;
END
$$;

-- Counts one day anew from its events and returns how many: hours of that day in UTC, and the day of that date in the
-- settings' time zone. Where some of its events are gone (not `complete`), what has more than they give stays as it is.
-- The transaction must be REPEATABLE READ, and begin when the lock is held: the notes that it sees are of events that it
-- sees too, and are used up first.
CREATE FUNCTION count_day(day date, complete boolean) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    zone constant text := (SELECT time_zone FROM reporting_settings);
    utc_start constant timestamptz := day::timestamp AT TIME ZONE 'UTC';
    utc_end constant timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
    day_start constant timestamptz := day::timestamp AT TIME ZONE zone;
    day_end constant timestamptz := (day + 1)::timestamp AT TIME ZONE zone;
    hours text := format('occurred_at >= %L AND occurred_at < %L', utc_start, utc_end);
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
        OR (SELECT count(*) FROM counted WHERE occurred_at >= utc_start AND occurred_at < utc_end)
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
        OR (SELECT count(*) FROM counted c WHERE c.day = count_day.day)
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
