-- What the dashboards ask of `reporting`, asked of the events themselves: views and functions of the same names and
-- columns, with a row an event. {schema} is a schema of the benchmark's own, which stands in for `reporting`.
CREATE SCHEMA {schema};

CREATE VIEW {schema}.every_event AS
SELECT
    e.occurred_at AS at, date_bin('1 hour', e.occurred_at, '2000-01-01Z') AS "time",
    (e.occurred_at AT TIME ZONE 'UTC')::date AS day,
    s.agent_name, s.event_type, s.outcome, s.hook_name, s.mode, s.execution_type, s.model_tier, s.model_name,
    s.provider, s.tool_name, s.client_version, s.host_id AS host, e.session_key,
    1 AS events,
    (s.outcome <> 'none')::int AS decisions,
    (s.outcome IN ('approved', 'confirmed', 'continued', 'succeeded'))::int AS approved,
    (s.outcome = 'denied')::int AS denied,
    (s.outcome = 'failed' OR e.success IS FALSE)::int AS failed,
    coalesce(e.prompt_tokens, 0) AS prompt_tokens, coalesce(e.completion_tokens, 0) AS completion_tokens,
    coalesce(e.total_tokens, 0) AS total_tokens, coalesce(e.cached_tokens, 0) AS cached_tokens,
    coalesce(e.reasoning_tokens, 0) AS reasoning_tokens, coalesce(e.cost, 0) AS cost,
    e.occurred_at AS last_at,
    CASE WHEN e.latency_ms > 0 THEN ARRAY[ceil(ln(e.latency_ms) / 0.09531017980432493)::smallint] END
        AS latency_buckets,
    CASE WHEN e.latency_ms > 0 THEN ARRAY[1] END AS latency_counts
FROM telemetry_events e JOIN series s USING (series_key);

CREATE FUNCTION {schema}.agents_between(since timestamptz, until timestamptz) RETURNS SETOF {schema}.every_event
LANGUAGE sql STABLE AS $$ SELECT * FROM {schema}.every_event WHERE at >= since AND at < until $$;
CREATE FUNCTION {schema}.usage_between(since timestamptz, until timestamptz) RETURNS SETOF {schema}.every_event
LANGUAGE sql STABLE AS $$ SELECT * FROM {schema}.every_event WHERE at >= since AND at < until $$;
CREATE FUNCTION {schema}.percentile(p double precision, buckets smallint[], counts numeric[]) RETURNS double precision
LANGUAGE sql IMMUTABLE RETURN reporting.percentile(p, buckets, counts);
CREATE FUNCTION {schema}.active_sessions(since timestamptz, until timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(DISTINCT session_key) FROM telemetry_events WHERE occurred_at >= since AND occurred_at < until
$$;

CREATE VIEW {schema}.agent_days AS SELECT * FROM {schema}.every_event;
CREATE VIEW {schema}.agent_recent AS SELECT * FROM {schema}.every_event;
CREATE VIEW {schema}.agent_hours AS SELECT * FROM {schema}.every_event;
CREATE VIEW {schema}.site AS SELECT * FROM reporting.site;
CREATE VIEW {schema}.session_counts_by_hour AS
SELECT "time", host, count(DISTINCT session_key) AS sessions FROM {schema}.every_event GROUP BY "time", host;
CREATE VIEW {schema}.session_counts_by_day AS
SELECT day, day::timestamp AT TIME ZONE 'UTC' AS "time", host, count(DISTINCT session_key) AS sessions
FROM {schema}.every_event GROUP BY day, host;
CREATE VIEW {schema}.session_days AS
SELECT
    day, n.host_id, n.session_id, min(at) AS first_at, max(at) AS last_at, count(*) AS events, sum(decisions) AS decisions,
    sum(denied) AS denied, sum(failed) AS failed, sum(total_tokens) AS total_tokens, sum(cost) AS cost
FROM {schema}.every_event JOIN sessions n USING (session_key)
GROUP BY day, n.host_id, n.session_id;
CREATE VIEW {schema}.transcripts AS SELECT * FROM reporting.transcripts;
CREATE VIEW {schema}.hosts AS
SELECT host, max(at) AS last_seen_at, min(at) AS first_seen_at, max(client_version) AS client_version,
    false AS silent, false AS gone, 0::bigint AS seconds_since_seen, 0::real AS least_delay_s
FROM {schema}.every_event GROUP BY host;
