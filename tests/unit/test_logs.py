"""A line of the log: JSON of ASCII characters alone, whatever it is to say."""

import contextlib
import json
import logging
import sys
from decimal import Decimal
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from app.logs import JsonFormatter, answered


def line(message: str, **fields: Any) -> str:
    """What is written for a record with these fields."""
    record = logging.LogRecord("app.request", logging.INFO, "", 0, message, (), None)
    record.fields = fields
    return JsonFormatter().format(record)


TEXTS = ("plain", 'quoted "\\"', "two\nlines\r\x00\x1b[2J", "Zürich \u2028 \U0001f600", "\ud800 alone")


@pytest.mark.parametrize("value", [*TEXTS, 7, 2**70, None, True, 1.5])
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    written = line("request", path=value)
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["path"] == value
    # One form for whoever looks for it as text.
    assert '"level":"info","logger":"app.request",' in written


def test_a_line_tells_when_how_bad_where_and_what() -> None:
    said = json.loads(line("request", status=200))
    assert {**said, "time": ""} == {
        "time": "",
        "level": "info",
        "logger": "app.request",
        "message": "request",
        "status": 200,
    }
    assert said["time"].endswith("+00:00")


@pytest.mark.parametrize("value", [*TEXTS, 2**70, PurePosixPath("/srv")])
def test_the_line_of_a_request_has_the_same_form(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"request_id": "1", "method": "GET", "path": "/x", "status": 200, "bytes": 0, "client": "::1"}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "REMOTE_ADDR": "::1"}
    nobody: Any = SimpleNamespace(answered=lambda *_: None)
    answered(nobody, environ, route="/x", status=200, request_id="1", key=None, fields={"reason": value})
    written = json.loads(capsys.readouterr().out)
    expected = {**fields, "key_id": None, "host": None, "reason": value, "milliseconds": written["milliseconds"]}
    assert {**written, "time": ""} == {**json.loads(line("request", **expected)), "time": ""}


def test_a_log_that_takes_nothing_costs_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[object] = []
    metrics: Any = SimpleNamespace(answered=lambda *line: counted.append(line))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr(sys, "stdout", full)
        answered(metrics, environ, route="/x", status=200, request_id="1", key=None, fields={})
        monkeypatch.undo()
        assert len(counted) == 1
        with contextlib.suppress(OSError):
            full.close()


@pytest.mark.parametrize("odd", [PurePosixPath("/srv"), Decimal("0.1"), ValueError("away")])
def test_what_json_has_no_form_for_is_written_as_text(odd: object) -> None:
    assert json.loads(line("request", reason=odd))["reason"] == str(odd)
