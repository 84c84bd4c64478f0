"""The two roles that only look: what each can read, to the last column, and that neither gets out of it."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors

from app.store import readers, rollups, site
from app.store.database import BoundedConnection
from app.store.events import EventStore
from app.store.site import Site
from tests.fixtures.postgres import Server, connect
from tests.store.batches import load, store_events

PRIVATE_WORDS = ("s3cr3t-session", "s3cr3t reason", "/s3cr3t/path", "s3cr3t input", "s3cr3t message", "s3cr3t-decision")

# What somebody would try who can send any SQL; each must be refused.
ATTACKS = (
    "SELECT * FROM public.telemetry_events",
    "SELECT * FROM public.series",
    "SELECT * FROM public.api_keys",
    "SELECT * FROM public.session_transcripts",
    "SELECT * FROM public.rollup_hours",
    "SELECT * FROM public.reader",
    "TABLE public.reporting_settings",
    "COPY public.api_keys TO STDOUT",
    "SET ROLE telemetry",
    "SET SESSION AUTHORIZATION telemetry",
    "SET SESSION AUTHORIZATION postgres",
    "SET ROLE postgres",
    "SET ROLE pg_read_all_data",
    "CREATE TABLE public.mine (n integer)",
    "CREATE TABLE reporting.mine (n integer)",
    "CREATE TEMPORARY TABLE mine (n integer)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "CREATE VIEW reporting.mine AS SELECT 1",
    "CREATE FUNCTION reporting.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION postgres_fdw",
    "UPDATE reporting.site SET time_zone = 'UTC'",
    "DELETE FROM reporting.agent_hours",
    "INSERT INTO reporting.freshness DEFAULT VALUES",
    "TRUNCATE public.telemetry_events",
    "DROP VIEW reporting.hosts",
    "ALTER VIEW reporting.hosts OWNER TO CURRENT_USER",
    "GRANT SELECT ON public.telemetry_events TO CURRENT_USER",
    "GRANT grafana_private TO CURRENT_USER",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
    "ALTER SYSTEM SET log_statement = 'all'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/mine'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT pg_stat_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/mine')",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'telemetry'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT public.count_notes(1)",
    "SELECT public.count_day('2026-01-01', true)",
    "SELECT public.rollup_fill('', 'public.telemetry_events e')",
    "LOCK TABLE public.telemetry_events IN ACCESS EXCLUSIVE MODE",
    "DO $$ BEGIN EXECUTE 'SELECT * FROM public.series'; END $$",
    "VACUUM public.telemetry_events",
    "SELECT setval('public.hosts_host_key_seq', 1)",
    "NOTIFY mine; SELECT * FROM public.hosts",
)


def as_role(url: str, role: str) -> psycopg.Connection:
    """A connection as that role, which has undone the settings that are no protection."""
    connection = connect(url.replace("telemetry@", f"{role}@", 1))
    connection.execute("SET default_transaction_read_only = off; SET statement_timeout = 0; SET telemetry.reader = 'x'")
    return connection


@pytest.fixture(scope="module", params=(16, 18), ids=lambda version: f"PostgreSQL {version}")
def site_url(request: pytest.FixtureRequest, servers: Callable[[int], Server]) -> Iterator[str]:
    """A site with an event and a transcript full of what is nobody's business, counted, and two hosts."""
    server = servers(request.param)
    url = server.create_database()
    event = {
        "hostId": "s3cr3t-host",
        "sessionId": PRIVATE_WORDS[0],
        "decisionReason": PRIVATE_WORDS[1],
        "workingDir": PRIVATE_WORDS[2],
        "toolInput": {"command": PRIVATE_WORDS[3]},
        "decision": PRIVATE_WORDS[5],
        "clientVersion": "1.0",
        "cost": 1234.5,
        "totalTokens": 98765,
        "latencyMs": 100,
    }
    with connect(url) as connection, BoundedConnection.connect(url, autocommit=True) as writer:
        store_events(EventStore(), writer, load(event, {"hostId": "other"}))
        connection.execute(
            "INSERT INTO session_transcripts (host_id, session_id, message_count, chain, messages)"
            """ VALUES ('s3cr3t-host', 's3cr3t-session', 1, '', '[{"role": "user", "content": "s3cr3t message"}]')"""
        )
        rollups.catch_up(connection)
        # As `migrate` does; what a database itself grants is not copied with it.
        assert set(readers.grant(connection)) == set(readers.GRANTED)
        yield url
    server.drop_database(url)


@pytest.fixture(params=readers.GRANTED)
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def public(site_url: str) -> Iterator[psycopg.Connection]:
    with connect(site_url) as owner:
        site.save(owner, Site())
    with as_role(site_url, readers.PUBLIC_ROLE) as connection:
        yield connection


def everything(connection: psycopg.Connection, role: str) -> str:
    """All that the role can read, as text."""
    views, _ = readers.GRANTED[role]
    return "\n".join(
        str(connection.execute(f"SELECT to_json(v) FROM reporting.{view} AS v").fetchall()) for view in views
    )


def readable(connection: psycopg.Connection) -> set[str]:
    """Whatever the role may read in schemas that are not PostgreSQL's own."""
    rows = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'v', 'p', 'm', 'f', 'S')"
        " AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'USAGE, SELECT, UPDATE')"
        " ELSE has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
        " OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES') END"
    )
    return {name for (name,) in rows}


def test_each_role_reads_its_views_and_nothing_else(site_url: str, role: str) -> None:
    with as_role(site_url, role) as connection:
        views, functions = readers.GRANTED[role]
        assert readable(connection) == {f"reporting.{view}" for view in views}
        callable_ones = connection.execute(
            "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname IN ('public', 'reporting') AND has_function_privilege(p.oid, 'EXECUTE')"
        ).fetchone()
        assert callable_ones == (len(functions),)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_an_attacker_would_send_is_refused(site_url: str, role: str, attack: str) -> None:
    with as_role(site_url, role) as connection, pytest.raises(psycopg.Error) as refusal:
        connection.execute(attack)
    assert not isinstance(refusal.value, errors.SyntaxError), refusal.value


def test_a_visitor_gets_nothing_private(public: psycopg.Connection) -> None:
    seen = everything(public, readers.PUBLIC_ROLE)
    assert not [word for word in PRIVATE_WORDS if word in seen]
    assert "s3cr3t-host" in seen
    assert "1234.5" in seen


def test_what_the_settings_hide_a_visitor_does_not_see(site_url: str, public: psycopg.Connection) -> None:
    with connect(site_url) as owner:
        site.save(owner, Site(public_hosts=False, public_costs=False))
    seen = everything(public, readers.PUBLIC_ROLE)
    assert not [word for word in ("s3cr3t-host", "1234.5", "98765") if word in seen]
    assert {name for (name,) in public.execute("SELECT host FROM reporting.hosts")} == {"host 1", "host 2"}
    assert public.execute("SELECT DISTINCT cost, total_tokens FROM reporting.usage_days").fetchall() == [(None, None)]
    with as_role(site_url, readers.PRIVATE_ROLE) as private:
        seen = everything(private, readers.PRIVATE_ROLE)
        assert not [word for word in (*PRIVATE_WORDS, "s3cr3t-host", "1234.5") if word not in seen]


def test_statistics_and_plans_tell_a_visitor_nothing(public: psycopg.Connection) -> None:
    assert public.execute("SELECT * FROM pg_stats WHERE schemaname IN ('public', 'reporting')").fetchall() == []
    others = public.execute(
        "SELECT query FROM pg_stat_activity WHERE usename <> current_user AND query NOT LIKE '<insufficient%'"
    ).fetchall()
    assert [query for (query,) in others if query] == []
    # A cheap function of one's own, to look into rows on their way, cannot be had; those that are there raise at most.
    with pytest.raises(errors.InsufficientPrivilege):
        public.execute("SELECT * FROM reporting.hosts h, public.series s WHERE h.host = s.host_id")


def test_the_collector_reads_as_a_visitor_does(site_url: str) -> None:
    with connect(site_url) as owner:
        site.save(owner, Site(public_hosts=False))
        with readers.as_visitor(owner):
            assert owner.execute("SELECT current_user").fetchone() == ("grafana_public",)
            assert {name for (name,) in owner.execute("SELECT host FROM reporting.hosts")} == {"host 1", "host 2"}
            with pytest.raises(errors.InsufficientPrivilege), owner.transaction():
                owner.execute("SELECT * FROM reporting.events")
        assert owner.execute("SELECT current_user").fetchone() == ("telemetry",)


def test_a_role_has_few_connections(site_url: str) -> None:
    opened: list[psycopg.Connection] = []
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            opened.extend(as_role(site_url, readers.PUBLIC_ROLE) for _ in range(6))
    finally:
        for connection in opened:
            connection.close()
