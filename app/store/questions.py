"""The overview's questions, each one statement by name: over the public views, so that a visitor may see every answer.

Their parameters are times: `since` and `until`, which is exclusive, and `hour`, the hour in which `until` lies. Hours
before that are taken from the roll-up of hours, and what is left until `until` from that of five minutes: so a window
can be compared with the same one a day before.
"""

# A window's rows of the roll-ups by agent.
_ROWS = """(
    SELECT * FROM reporting.agent_hours WHERE "time" >= %(since)s AND "time" < %(hour)s
    UNION ALL
    SELECT * FROM reporting.agent_recent WHERE "time" >= %(hour)s AND "time" < %(until)s
) AS r"""

SITE = """
SELECT now() AS now, time_zone, sees_costs, today_began_at,
    (today - 1)::timestamp AT TIME ZONE time_zone AS yesterday_began_at
FROM reporting.site
"""

TOTALS = f"""
SELECT
    coalesce(sum(events), 0)::bigint AS events,
    coalesce(sum(decisions), 0)::bigint AS decisions,
    coalesce(sum(approved), 0)::bigint AS approved,
    coalesce(sum(denied), 0)::bigint AS denied,
    coalesce(sum(events) FILTER (WHERE outcome = 'failed'), 0)::bigint AS failed,
    coalesce(sum(failed), 0)::bigint AS errors,
    count(DISTINCT agent_name) AS agents,
    sum(total_tokens) AS tokens,
    sum(cost) AS cost
FROM {_ROWS}
"""

LATENCY = f"""
SELECT reporting.percentile(0.5, buckets, counts) AS p50_ms, reporting.percentile(0.95, buckets, counts) AS p95_ms
FROM (
    SELECT array_agg(bucket) AS buckets, array_agg(n) AS counts
    FROM (
        SELECT bucket, sum(n) AS n FROM {_ROWS}, unnest(latency_buckets, latency_counts) AS u(bucket, n) GROUP BY bucket
    ) AS summed
) AS histogram
"""

# By whole hours: the sessions' roll-up knows no minutes. A host is active where one of its sessions is.
ACTIVE = """
SELECT
    reporting.active_sessions(%(since)s, %(until)s) AS sessions,
    (SELECT count(DISTINCT host) FROM reporting.session_counts_by_hour
     WHERE "time" >= %(since)s AND "time" < %(until)s) AS hosts
"""

STEPS = """
WITH hours AS (
    SELECT
        date_bin(%(step)s, "time", %(since)s) AS start, outcome, events, approved, denied, latency_buckets,
        latency_counts
    FROM reporting.agent_hours WHERE "time" >= %(since)s AND "time" < %(until)s
), counted AS (
    SELECT
        start,
        sum(approved)::bigint AS approved,
        sum(denied)::bigint AS denied,
        coalesce(sum(events) FILTER (WHERE outcome = 'failed'), 0)::bigint AS failed,
        coalesce(sum(events) FILTER (WHERE outcome = 'other'), 0)::bigint AS other
    FROM hours GROUP BY start
), histograms AS (
    SELECT start, array_agg(bucket) AS buckets, array_agg(n) AS counts
    FROM (
        SELECT start, bucket, sum(n) AS n FROM hours, unnest(latency_buckets, latency_counts) AS u(bucket, n)
        GROUP BY start, bucket
    ) AS summed
    GROUP BY start
)
SELECT
    start, approved, denied, failed, other,
    reporting.percentile(0.5, buckets, counts) AS p50_ms, reporting.percentile(0.95, buckets, counts) AS p95_ms
FROM counted LEFT JOIN histograms USING (start)
ORDER BY start
"""

AGENTS = """
WITH hours AS (
    SELECT agent_name, events, decisions, denied, failed, last_at, latency_buckets, latency_counts
    FROM reporting.agent_hours WHERE "time" >= %(since)s AND "time" < %(until)s
), counted AS (
    SELECT
        agent_name AS name,
        sum(events)::bigint AS events,
        sum(decisions)::bigint AS decisions,
        sum(denied)::bigint AS denied,
        sum(failed)::bigint AS errors,
        max(last_at) AS last_seen_at
    FROM hours GROUP BY agent_name ORDER BY events DESC, name LIMIT %(rows)s
), histograms AS (
    SELECT agent_name AS name, array_agg(bucket) AS buckets, array_agg(n) AS counts
    FROM (
        SELECT agent_name, bucket, sum(n) AS n
        FROM hours, unnest(latency_buckets, latency_counts) AS u(bucket, n)
        WHERE agent_name IN (SELECT name FROM counted)
        GROUP BY agent_name, bucket
    ) AS summed
    GROUP BY agent_name
)
SELECT
    name, events, decisions, denied, errors, last_seen_at,
    reporting.percentile(0.95, buckets, counts) AS p95_ms
FROM counted LEFT JOIN histograms USING (name)
ORDER BY events DESC, name
"""

# Silent ones first, and of them and of the others those first that were heard of last. Older than a week are gone.
HOSTS = """
SELECT host AS name, last_seen_at, silent, client_version
FROM reporting.hosts WHERE NOT gone
ORDER BY silent DESC, last_seen_at DESC, host LIMIT %(rows)s
"""

FLEET = """
SELECT
    count(*) FILTER (WHERE NOT gone) AS known_hosts,
    count(*) FILTER (WHERE silent) AS silent_hosts,
    max(last_seen_at) AS last_event_at,
    (SELECT max(last_at) FROM reporting.agent_days WHERE outcome = 'denied') AS last_denial_at
FROM reporting.hosts
"""

COST = """
SELECT
    coalesce(sum(cost) FILTER (WHERE "time" >= %(today)s), 0) AS cost_today,
    coalesce(sum(cost) FILTER (WHERE "time" < %(until)s), 0) AS cost_yesterday
FROM reporting.agent_recent WHERE "time" >= %(yesterday)s AND ("time" < %(until)s OR "time" >= %(today)s)
"""

# By name, for whoever asks them all: benchmarks, and tests of what a visitor may read.
QUESTIONS = {
    "site": SITE,
    "totals": TOTALS,
    "latency": LATENCY,
    "active": ACTIVE,
    "steps": STEPS,
    "agents": AGENTS,
    "hosts": HOSTS,
    "fleet": FLEET,
    "cost": COST,
}
