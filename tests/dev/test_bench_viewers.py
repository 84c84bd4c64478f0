"""Those who look at dashboards while a benchmark measures."""

import time
from types import SimpleNamespace

import psycopg
import pytest

from tests.bench import viewers
from tests.bench.viewers import Viewers


def test_viewers_keep_their_pace_and_stop(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "REFRESH_SECONDS", 7.0)
    looking = Viewers(database_url)
    with looking.looking():
        time.sleep(1.0)
    first = looking.due
    with looking.looking():
        time.sleep(1.0)
    asked = looking.answered
    assert 5 <= first < looking.due
    assert 2 <= asked <= looking.due
    assert looking.given_up == 0
    time.sleep(0.3)
    assert looking.answered == asked


def test_viewers_who_get_no_answer_say_so() -> None:
    with pytest.raises(psycopg.OperationalError), Viewers("postgresql://127.0.0.1:9/none").looking():
        time.sleep(0.1)


def test_a_question_that_takes_longer_than_its_role_may_ask_is_given_up_and_counted(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = {"datasource": {"uid": "telemetry-public"}, "targets": [{"rawSql": "SELECT pg_sleep(60)"}]}
    monkeypatch.setattr(viewers, "DASHBOARDS", [lambda: SimpleNamespace(json=lambda: {"panels": [panel]})])
    limited = psycopg.conninfo.make_conninfo(database_url, options="-c statement_timeout=100")
    looking = Viewers(limited)
    with looking.looking():
        time.sleep(0.5)
    assert (looking.due, looking.answered, looking.given_up) == (1, 0, 1)
