-- Roll-ups: what dashboards count, counted as events arrive, exact in whatever order they come and commit, and kept
-- when the events are gone.
--
-- The statement that stores events also notes them in rollup_queue, by a trigger, so whoever inserts is counted, an
-- older release too. One worker takes them from there and adds them up, all in one transaction. An event is thus
-- counted exactly once: its note is committed with it, and deleted with the commit that counts it.

-- A function is for whom it is granted to; by default it would be for everybody.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What the collector is told by its settings and the views must know: one row, written by `migrate` and `serve`.
CREATE TABLE reporting_settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    time_zone text NOT NULL DEFAULT 'UTC',
    silent_after_minutes integer NOT NULL DEFAULT 15,
    public_hosts boolean NOT NULL DEFAULT true,
    public_costs boolean NOT NULL DEFAULT true
);
INSERT INTO reporting_settings DEFAULT VALUES;

-- A row a batch of freshly stored events, an array a column. No index: all rows are taken, and soon.
CREATE TABLE rollup_queue (
    queued_at timestamptz NOT NULL DEFAULT now(),
    events integer NOT NULL,
    occurred_at timestamptz[] NOT NULL,
    -- One for all where they are equal, as they are in a batch that came by HTTP.
    received_at timestamptz[] NOT NULL,
    series_key integer[] NOT NULL,
    session_key bigint[] NOT NULL,
    success boolean[] NOT NULL,
    error_count integer[] NOT NULL,
    warning_count integer[] NOT NULL,
    latency_ms double precision[] NOT NULL,
    prompt_tokens bigint[] NOT NULL,
    completion_tokens bigint[] NOT NULL,
    total_tokens bigint[] NOT NULL,
    cached_tokens bigint[] NOT NULL,
    reasoning_tokens bigint[] NOT NULL,
    cost numeric[] NOT NULL
) WITH (toast_tuple_target = 8160);

-- Days whose roll-ups are to be counted anew from their events: the days of all events that were there before the
-- roll-ups, and what `maintain --rebuild-rollups` asks for.
CREATE TABLE rollup_backlog (day date PRIMARY KEY);

-- One row a host, known to visitors as "host 3" where its name is hidden.
CREATE TABLE hosts (
    host_key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host_id text NOT NULL UNIQUE,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    client_version text
);

-- A series without its host, its tool and its client's version: what most panels count by, in a twentieth of the rows.
CREATE TABLE agent_series (
    agent_key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    agent_name text NOT NULL,
    event_type text NOT NULL,
    outcome text NOT NULL,
    hook_name text,
    mode text,
    execution_type text,
    model_tier text,
    model_name text,
    provider text
);
-- Made with a series' first event that is counted; such a series is kept for ever, as roll-ups are. Not a column of
-- series: whoever stores events writes there, and would wait for the worker.
CREATE TABLE series_agents (series_key integer PRIMARY KEY, agent_key integer NOT NULL);

-- What is counted, the same in each roll-up. NULL stands for 0, and takes no room. numeric where a sum of what clients
-- may send could be too large for bigint: it is no longer than bigint for numbers that occur.
CREATE TABLE rollup_hours (
    start timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    events bigint NOT NULL,
    failed bigint,
    latency_count bigint,
    latency_sum double precision,
    key integer NOT NULL,
    -- Seconds from an event to its receipt, the least: negative where the host's clock is ahead.
    least_delay real NOT NULL,
    errors numeric,
    warnings numeric,
    prompt_tokens numeric,
    completion_tokens numeric,
    total_tokens numeric,
    cached_tokens numeric,
    reasoning_tokens numeric,
    cost numeric,
    -- How many latencies, by bucket: bucket n is for those over 1.1^(n-1) and up to 1.1^n ms, -32768 for 0.
    latency_buckets smallint[],
    latency_counts integer[],
    -- A range of time is one piece of the index, and of the table too, since its rows are made in this order.
    PRIMARY KEY (start, key)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- By day and series. `start` is a date in the time zone of the settings.
CREATE TABLE rollup_days (LIKE rollup_hours INCLUDING ALL);
ALTER TABLE rollup_days ALTER COLUMN start TYPE date USING NULL;
-- By agent_key: five minutes (kept for eight days), an hour, a day.
CREATE TABLE rollup_agent_recent (LIKE rollup_hours INCLUDING ALL);
CREATE TABLE rollup_agent_hours (LIKE rollup_hours INCLUDING ALL);
CREATE TABLE rollup_agent_days (LIKE rollup_days INCLUDING ALL);
-- The rows of the current hour and day are written every few seconds; room in their page keeps the index out of it.
ALTER TABLE rollup_days SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE rollup_agent_recent SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE rollup_agent_days SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- Which sessions were active, for exact numbers of different ones in any span of hours or days.
CREATE TABLE rollup_session_hours (
    start timestamptz NOT NULL,
    session_key bigint NOT NULL,
    host_key integer NOT NULL,
    PRIMARY KEY (start, session_key)
);
CREATE TABLE rollup_session_days (
    session_key bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    -- A sum that overflows would keep all roll-ups waiting.
    events bigint NOT NULL,
    decisions bigint,
    denied bigint,
    failed bigint,
    start date NOT NULL,
    host_key integer NOT NULL,
    total_tokens numeric,
    cost numeric,
    PRIMARY KEY (start, session_key)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02);
-- What is left of them when their events are deleted.
CREATE TABLE rollup_session_counts (
    start date NOT NULL,
    host_key integer NOT NULL,
    sessions bigint NOT NULL,
    PRIMARY KEY (start, host_key)
);

-- A person looks for a session by its id, which clients choose; the words' digest needs the host too.
CREATE INDEX sessions_session_id ON sessions USING hash (session_id);

CREATE FUNCTION queue_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Who loads a million events in one statement gets rows of 10 000, which the worker can take one by one.
    INSERT INTO public.rollup_queue (
        events, occurred_at, received_at, series_key, session_key, success, error_count, warning_count, latency_ms,
        prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, cost)
    SELECT
        count(*), array_agg(occurred_at),
        CASE WHEN min(received_at) = max(received_at) THEN ARRAY[min(received_at)] ELSE array_agg(received_at) END,
        array_agg(series_key), array_agg(session_key), array_agg(success), array_agg(error_count),
        array_agg(warning_count), array_agg(latency_ms), array_agg(prompt_tokens), array_agg(completion_tokens),
        array_agg(total_tokens), array_agg(cached_tokens), array_agg(reasoning_tokens), array_agg(cost)
    FROM (SELECT *, (row_number() OVER () - 1) / 10000 AS piece FROM fresh) AS f
    GROUP BY piece;
    RETURN NULL;
END
$$;

CREATE TRIGGER queue_events AFTER INSERT ON telemetry_events
REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION queue_events();

-- The days in UTC that have events: from one to the next, by the index, so it takes milliseconds.
CREATE FUNCTION days_with_events() RETURNS SETOF date LANGUAGE sql STABLE AS $$
    WITH RECURSIVE days AS (
        SELECT date_trunc('day', min(occurred_at), 'UTC') AS start FROM telemetry_events
        UNION ALL
        SELECT (SELECT date_trunc('day', min(e.occurred_at), 'UTC') FROM telemetry_events e
                WHERE e.occurred_at >= days.start + interval '24 hours')
        FROM days WHERE days.start IS NOT NULL
    )
    SELECT (start AT TIME ZONE 'UTC')::date FROM days WHERE start IS NOT NULL
$$;

-- The trigger has locked out whoever stores events until this is committed: what is there now is in no queue. In UTC, as
-- the settings are still.
INSERT INTO rollup_backlog SELECT days_with_events();
