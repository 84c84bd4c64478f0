"""The overview's questions, asked of the events themselves: what each would cost without roll-ups.

The same parameters as in app/store/questions.py, the same answers but for rounding.
"""

_EVENTS = "telemetry_events e JOIN series s USING (series_key)"
_WINDOW = "e.occurred_at >= %(since)s AND e.occurred_at < %(until)s"
_FAILED = "s.outcome = 'failed' OR e.success IS FALSE"
_APPROVED = "s.outcome IN ('approved', 'confirmed', 'continued', 'succeeded')"

RAW = {
    "totals": f"""
        SELECT count(*), count(*) FILTER (WHERE s.outcome <> 'none'), count(*) FILTER (WHERE {_APPROVED}),
            count(*) FILTER (WHERE s.outcome = 'denied'), count(*) FILTER (WHERE s.outcome = 'failed'),
            count(*) FILTER (WHERE {_FAILED}), count(DISTINCT s.agent_name), sum(e.total_tokens), sum(e.cost)
        FROM {_EVENTS} WHERE {_WINDOW}""",
    "latency": f"""
        SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY e.latency_ms)
        FROM {_EVENTS} WHERE {_WINDOW}""",
    "active": f"""
        SELECT count(DISTINCT e.session_key), count(DISTINCT s.host_id) FROM {_EVENTS} WHERE {_WINDOW}""",
    "steps": f"""
        SELECT date_bin(%(step)s, e.occurred_at, %(since)s) AS start, count(*) FILTER (WHERE {_APPROVED}),
            count(*) FILTER (WHERE s.outcome = 'denied'), count(*) FILTER (WHERE s.outcome = 'failed'),
            count(*) FILTER (WHERE s.outcome = 'other'),
            percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY e.latency_ms)
        FROM {_EVENTS} WHERE {_WINDOW} GROUP BY start ORDER BY start""",
    "agents": f"""
        SELECT s.agent_name, count(*), count(*) FILTER (WHERE s.outcome <> 'none'),
            count(*) FILTER (WHERE s.outcome = 'denied'), count(*) FILTER (WHERE {_FAILED}), max(e.occurred_at),
            percentile_disc(0.95) WITHIN GROUP (ORDER BY e.latency_ms)
        FROM {_EVENTS} WHERE {_WINDOW} GROUP BY s.agent_name ORDER BY 2 DESC, 1 LIMIT %(rows)s""",
    # Heard of within a week, as the overview has it.
    "hosts": f"""
        SELECT s.host_id, max(e.received_at), (array_agg(s.client_version ORDER BY e.received_at DESC))[1]
        FROM {_EVENTS} WHERE e.occurred_at >= now() - interval '7 days'
        GROUP BY s.host_id ORDER BY 2 LIMIT %(rows)s""",
    "fleet": f"""
        SELECT count(DISTINCT s.host_id), max(e.received_at), max(e.occurred_at) FILTER (WHERE s.outcome = 'denied')
        FROM {_EVENTS} WHERE e.occurred_at >= now() - interval '7 days'""",
    "cost": f"""
        SELECT sum(e.cost) FILTER (WHERE e.occurred_at >= %(today)s),
            sum(e.cost) FILTER (WHERE e.occurred_at < %(until)s)
        FROM {_EVENTS} WHERE e.occurred_at >= %(yesterday)s""",
}
