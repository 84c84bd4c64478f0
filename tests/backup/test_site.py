"""A backup of a real database is taken, read back, tried out and put back, on every version of PostgreSQL."""

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from telemetry_backup import config, copies
from telemetry_backup.errors import BackupError

from tests.backup.site import Site
from tests.fixtures.postgres import Server, connect

ROWS = """
INSERT INTO api_keys (key_hash, host_id) VALUES (encode(sha256('key'::bytea), 'hex'), 'lap"top''s');
INSERT INTO series (digest, host_id, agent_name, event_type, outcome)
    VALUES (gen_random_uuid(), 'laptop', 'tool-approve', 'agent_execution', 'approved');
INSERT INTO telemetry_events (occurred_at, received_at, session_key, series_key, latency_ms, cost, tool_input)
    SELECT now() - n * interval '1 hour', now(), 1, 1, n / 3.0, n / 7.0, json_build_object('n', n, 'text', E'\\n\\t"ä')
    FROM generate_series(1, 2000) n;
INSERT INTO session_transcripts (host_id, session_id, message_count, chain, messages)
    SELECT 'laptop', n::text, 1, sha256(n::text::bytea), json_build_array(repeat('word ' || n, 5000))
    FROM generate_series(1, 20) n;
"""

WITNESS = """
SELECT (SELECT count(*) FROM telemetry_events),
       (SELECT md5(string_agg(e::text, '' ORDER BY occurred_at)) FROM telemetry_events e),
       (SELECT md5(string_agg(t::text, '' ORDER BY session_id)) FROM session_transcripts t),
       (SELECT string_agg(k::text, '' ORDER BY id) FROM api_keys k)
"""


def site_on(server: Server, folder: Path) -> Iterator[Site]:
    site = Site(server, server.create_database(), folder)
    site.furnish()
    site.sql(ROWS)
    yield site
    for name in site.databases():
        server.drop_database(server.embedded.url(name))


@pytest.fixture
def site(postgres: Server, tmp_path: Path) -> Iterator[Site]:
    """With rows, on PostgreSQL 16."""
    yield from site_on(postgres, tmp_path)


@pytest.fixture
def any_site(any_postgres: Server, tmp_path: Path) -> Iterator[Site]:
    """The same on every version in turn."""
    yield from site_on(any_postgres, tmp_path)


def test_all_that_was_lost_comes_back(any_site: Site) -> None:
    site = any_site
    before = site.sql(WITNESS)
    taken = site.run("take")
    assert taken["tables"]["public.telemetry_events"] == 2000
    site.server.drop_database(site.url)
    shutil.rmtree(site.etc)
    site.grafana.unlink()

    done = site.run("restore")

    assert done["tables"] == taken["tables"]
    assert site.sql(WITNESS) == before
    assert site.databases() == [site.name]
    assert (site.etc / "token").read_text() == "0123456789abcdef"
    with closing(sqlite3.connect(site.grafana)) as opened:
        assert opened.execute("SELECT count(*) FROM dashboard").fetchone() == (0,)
    # It is the collector's again: its role may write, and numbers go on where they were.
    with connect(site.url) as connection:
        connection.execute("INSERT INTO api_keys (key_hash, host_id) VALUES (repeat('0', 64), 'other')")
        row = connection.execute("SELECT id FROM api_keys ORDER BY id DESC").fetchone()
    assert row == (2,)


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [(15, 16), (15, 17), (16, 17), (16, 18)])
def test_a_backup_of_an_older_server_is_restored_on_a_newer_one(
    servers: Callable[[int], Server], tmp_path: Path, old: int, new: int
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for before in site_on(servers(old), tmp_path / "old"):
        before.run("take", "--dry-run")
        taken = before.run("take")
        for after in site_on(servers(new), tmp_path / "new"):
            after.sql("TRUNCATE telemetry_events")
            after.run("restore", taken["path"], "--only", "database")
            assert after.sql(WITNESS) == before.sql(WITNESS)
            after.run("drill", taken["path"])


def test_a_backup_of_a_newer_server_is_refused_on_an_older_one(site: Site) -> None:
    path = Path(site.run("take")["path"])
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["database"]["server_version"] = 990001
    reseal(path, manifest)
    result = site.attempt("restore")
    assert result.returncode == 1
    assert "is of PostgreSQL 99, and here is 16" in result.stderr


def test_the_live_database_is_renamed_and_keeps_what_it_had(site: Site) -> None:
    site.run("take")
    site.sql("INSERT INTO api_keys (key_hash, host_id) VALUES (repeat('f', 64), 'made later')")
    with connect(site.url) as in_use:
        done = site.run("restore", "--only", "database")
        # It did not stand in the way.
        with pytest.raises(psycopg.errors.AdminShutdown):
            in_use.execute("SELECT 1")
    aside = done["set_aside"]["database"]
    assert site.databases() == sorted([site.name, aside])
    assert site.sql("SELECT count(*) FROM api_keys") == [(1,)]
    assert site.sql("SELECT count(*) FROM api_keys", aside) == [(2,)]


def test_the_live_database_is_dropped_only_when_told_so(site: Site) -> None:
    site.run("take")
    done = site.run("restore", "--only", "database", "--drop-live")
    assert done["set_aside"] == {}
    assert site.databases() == [site.name]


def test_a_dry_run_tells_what_differs_and_changes_nothing(site: Site) -> None:
    site.run("take")
    site.sql("DELETE FROM session_transcripts WHERE session_id = '7'; UPDATE api_keys SET description = 'changed'")
    (site.etc / "token").write_text("rotated")
    before = site.sql(WITNESS)

    would = site.run("restore", "--dry-run")

    tables = {one["table"]: one for one in would["database"]["tables"]}
    assert would["database"]["live"] == "would be renamed"
    assert tables["public.session_transcripts"] == {
        "table": "public.session_transcripts",
        "backup": 20,
        "live": 19,
        "same": False,
    }
    assert (tables["public.api_keys"]["live"], tables["public.api_keys"]["same"]) == (1, False)
    assert tables["public.telemetry_events"]["same"]
    assert would["files"] == {f"{site.etc}/token": "changed"}
    assert site.sql(WITNESS) == before
    assert site.databases() == [site.name]
    assert (site.etc / "token").read_text() == "rotated"


def test_roles_rights_settings_and_comment_come_back(site: Site) -> None:
    site.sql("""
        CREATE ROLE "view er" LOGIN NOINHERIT CONNECTION LIMIT 5 PASSWORD 'se''cret';
        ALTER ROLE "view er" SET statement_timeout TO '15s';
        GRANT USAGE ON SCHEMA reporting TO "view er"; GRANT SELECT ON reporting.events TO "view er";
    """)
    name = site.name
    site.sql(f"""
        REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO "view er";
        ALTER DATABASE {name} SET search_path TO "a b", public; ALTER DATABASE {name} SET work_mem TO '5MB';
        ALTER ROLE telemetry IN DATABASE {name} SET jit TO off; COMMENT ON DATABASE {name} IS 'the site''s own';
    """)
    question = f"""
        SELECT (SELECT array_agg(row(rolname, rolpassword, rolconnlimit, rolinherit, rolcanlogin)::text)
                FROM pg_authid WHERE rolname = 'view er'),
               array(SELECT (pg_get_userbyid(grantee), privilege_type)::text FROM aclexplode(datacl) ORDER BY 1),
               shobj_description(oid, 'pg_database'), pg_get_userbyid(datdba), datcollate,
               array(SELECT (coalesce(rolname, '-'), setconfig)::text FROM pg_db_role_setting s
                     LEFT JOIN pg_roles r ON r.oid = s.setrole
                     WHERE setdatabase = d.oid OR rolname = 'view er' ORDER BY 1),
               has_table_privilege('view er', 'reporting.events', 'SELECT')
        FROM pg_database d WHERE datname = '{name}'
    """
    before = site.sql(question)
    assert "SCRAM-SHA-256" in str(before)
    path = site.run("take")["path"]
    site.server.drop_database(site.url)
    site.sql('DROP ROLE "view er"', "postgres")
    try:
        site.run("restore", path, "--only", "database")
        assert site.sql(question) == before
        # And again, where the roles are there but were given another password since.
        site.sql("""ALTER ROLE "view er" PASSWORD 'another'""")
        site.run("restore", path, "--only", "database", "--drop-live")
        assert site.sql(question) == before
    finally:
        site.server.drop_database(site.url)
        for name in site.databases():
            site.server.drop_database(site.server.embedded.url(name))
        site.sql('DROP ROLE "view er"', "postgres")


def test_a_backup_shows_one_moment_while_events_arrive(site: Site) -> None:
    """Each commit adds one event and one transcript; so whatever moment it is, both are equally many more."""
    stop = threading.Event()

    def write() -> None:
        with connect(site.url) as connection:
            number = 1000
            while not stop.is_set():
                number += 1
                connection.execute(
                    "WITH e AS (INSERT INTO telemetry_events (occurred_at, received_at, session_key, series_key) "
                    "VALUES (now(), now(), 1, 1)) "
                    "INSERT INTO session_transcripts (host_id, session_id, message_count, chain, messages) "
                    "VALUES ('laptop', %s, 0, '', '[]')",
                    [str(number)],
                )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        deadline = time.monotonic() + 30
        while site.sql("SELECT count(*) FROM session_transcripts") == [(20,)] and time.monotonic() < deadline:
            time.sleep(0.01)
        tables = site.run("take")["tables"]
    finally:
        stop.set()
        writer.join()
    assert tables["public.telemetry_events"] - 2000 == tables["public.session_transcripts"] - 20 > 0
    # The dump and the counts, which were taken one after the other, agree by checksum.
    assert site.run("drill")["tables"] == tables


def test_a_drill_finds_a_restored_database_that_differs(site: Site) -> None:
    path = Path(site.run("take")["path"])
    assert site.run("drill")["tables"]["public.api_keys"] == 1
    manifest = json.loads((path / "manifest.json").read_text())
    next(one for one in manifest["database"]["tables"] if one["table"] == "api_keys")["checksum"] = "1"
    reseal(path, manifest)
    result = site.attempt("drill")
    assert result.returncode == 1
    assert "differs from what was backed up in public.api_keys" in result.stderr
    assert site.databases() == [site.name]


@pytest.mark.parametrize("name", ["database.dump", "grafana.db.gz", "files.tar.gz", "manifest.json", "roles.sql"])
def test_what_does_not_verify_is_never_restored(site: Site, name: str) -> None:
    path = Path(site.run("take")["path"])
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    for command in (["verify"], ["restore"], ["restore", "--dry-run"], ["drill"]):
        result = site.attempt(*command)
        assert (result.returncode, result.stdout) == (1, "")
        assert f"{name} was changed" in result.stderr
    assert site.databases() == [site.name]


def test_a_torn_dump_does_not_verify_even_with_sums_that_fit(site: Site) -> None:
    path = Path(site.run("take")["path"])
    os.truncate(path / "database.dump", (path / "database.dump").stat().st_size - 1)
    reseal(path, json.loads((path / "manifest.json").read_text()))
    assert "pg_restore failed" in site.attempt("verify").stderr


def test_a_failing_backup_leaves_the_last_one_and_nothing_else(site: Site) -> None:
    good = site.run("take")["backup"]
    site.keep = 1
    site.sql(f"ALTER DATABASE {site.name} ALLOW_CONNECTIONS false", "postgres")
    result = site.attempt("take")
    assert result.returncode == 1
    assert "not currently accepting connections" in result.stderr
    assert sorted(path.name for path in site.backups.iterdir()) == [".lock", good]
    site.sql(f"ALTER DATABASE {site.name} ALLOW_CONNECTIONS true", "postgres")
    assert site.run("verify", good)["good"]


def test_a_backup_that_would_fill_the_disk_is_not_taken(site: Site) -> None:
    site.minimum_free_mb = 10**9
    result = site.attempt("take")
    assert result.returncode == 1
    assert "make room" in result.stderr
    assert [path.name for path in site.backups.iterdir()] == [".lock"]


def test_only_root_may_read_a_backup_and_a_message_holds_no_secret(site: Site) -> None:
    path = Path(site.run("take")["path"])
    assert path.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in path.iterdir()} == {0o600}
    assert site.backups.stat().st_mode & 0o777 == 0o700
    # A statement that fails is not repeated in the message: roles.sql has verifiers.
    (path / "roles.sql").write_text("ALTER ROLE nobody PASSWORD 'SCRAM-SHA-256$hidden';\n")
    reseal(path, json.loads((path / "manifest.json").read_text()))
    result = site.attempt("restore", "--only", "database")
    assert result.returncode == 1
    assert "hidden" not in result.stderr + result.stdout


def test_a_restore_that_fails_leaves_the_site_as_it_was(site: Site) -> None:
    path = Path(site.run("take")["path"])
    (path / "roles.sql").write_text("ALTER ROLE telemetry CONNECTION LIMIT 3; ALTER ROLE nobody LOGIN;\n")
    reseal(path, json.loads((path / "manifest.json").read_text()))
    (site.etc / "token").write_text("rotated")
    site.sql("DELETE FROM api_keys")
    result = site.attempt("restore")
    assert result.returncode == 1
    assert 'role "nobody" does not exist' in result.stderr
    assert site.databases() == [site.name]
    assert site.sql("SELECT count(*) FROM api_keys") == [(0,)]
    assert site.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'telemetry'") == [(-1,)]
    assert (site.etc / "token").read_text() == "rotated"


def test_backups_beyond_their_number_and_age_are_deleted(site: Site) -> None:
    site.keep = 2
    names = [site.run("take")["backup"] for _ in range(3)]
    assert site.run("prune", "--dry-run") == {"would_delete": []}
    assert [one["backup"] for one in site.run("list")] == names[:0:-1]
    # The newest is bad: then an older one may be the only good one.
    (site.backups / names[2] / "files.tar.gz").write_bytes(b"")
    site.keep = 1
    assert site.attempt("prune").returncode == 1
    assert len(site.run("list")) == 2


NOTED = "SELECT bytes, copied, taken_at <= now() FROM status_backups ORDER BY taken_at"


def test_a_backup_is_noted_in_the_database_as_its_owner(site: Site) -> None:
    """Given an owner who would like to be more than that."""
    site.sql("""
        CREATE TABLE seen (who text);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RESET ROLE; INSERT INTO public.seen VALUES (current_user), (session_user); RETURN NEW; END';
        CREATE TRIGGER look BEFORE INSERT ON status_backups FOR EACH ROW EXECUTE FUNCTION look();
        GRANT ALL ON seen TO PUBLIC
    """)
    taken = site.run("take")
    assert site.sql(NOTED) == [(taken["bytes"], False, True)]
    assert site.sql("SELECT DISTINCT who FROM seen") == [("telemetry",)]
    # The next one has the note, and is compared with it.
    site.run("take")
    assert site.run("drill")["tables"]["public.status_backups"] == 1


def test_a_backup_that_cannot_be_noted_is_a_backup_all_the_same(site: Site) -> None:
    site.sql("ALTER TABLE status_backups ADD CONSTRAINT none CHECK (false)")
    result = site.attempt("take")
    assert result.returncode == 0
    assert "was not told of the backup" in result.stderr
    assert site.run("verify")["good"]


def test_a_database_of_an_older_release_has_nowhere_to_note_it(site: Site) -> None:
    site.sql("DROP TABLE status_backups CASCADE")
    result = site.attempt("take")
    assert (result.returncode, "told" in result.stderr) == (0, False)


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed: apt-get install rsync")
def test_copies_go_to_the_target(site: Site) -> None:
    site.target = site.folder / "elsewhere" / "host"
    taken = site.run("take")
    assert taken["copied_to"] == str(site.target)
    assert [path.name for path in site.target.iterdir()] == [taken["backup"]]
    assert [copied for _, copied, _ in site.sql(NOTED)] == [True]
    assert site.run("verify", str(site.target / taken["backup"]))["good"]

    shutil.rmtree(site.target)
    site.target.write_text("in the way")
    result = site.attempt("take")
    assert result.returncode == 1
    assert "safe here but could not go to" in result.stderr
    assert [copied for _, copied, _ in site.sql(NOTED)] == [True, False]
    assert len(site.run("list")) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("keeep = 3", "unknown keeep"),
        ("keep = '3'", "wrong type"),
        ("keep = 0", "at least 1"),
        ("keep = true", "wrong type"),
        ("keep", "no TOML"),
    ],
)
def test_a_configuration_that_is_not_understood_is_told(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "backup.toml").write_text(f'folder = "/var/backups/telemetry"\n{line}\n')
    with pytest.raises(BackupError, match=said):
        config.load(tmp_path / "backup.toml")


def test_wrong_usage_exits_with_two(site: Site) -> None:
    assert site.attempt("restore", "--only", "everything").returncode == 2
    assert site.attempt().returncode == 2
    assert site.attempt("--help").returncode == 0


def reseal(folder: Path, manifest: object) -> None:
    """Makes the sums fit again, as no accident would."""
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "SHA256SUMS").unlink()
    copies.seal(folder)
