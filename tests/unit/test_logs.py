"""A line of the log: JSON of ASCII characters alone, whatever it is to say."""

import json
import logging
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest

from app.logs import JsonFormatter


def line(message: str, **fields: Any) -> str:
    """What is written for a record with these fields."""
    record = logging.LogRecord("app.request", logging.INFO, "", 0, message, (), None)
    record.fields = fields
    return JsonFormatter().format(record)


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        'quoted "\\"',
        "two\nlines\r\x00\x1b[2J",
        "Zürich \u2028 \U0001f600",
        "\ud800 alone",
        7,
        2**70,
        None,
        True,
        1.5,
    ],
)
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    written = line("request", path=value)
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["path"] == value


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


@pytest.mark.parametrize("odd", [PurePosixPath("/srv"), Decimal("0.1"), ValueError("away")])
def test_what_json_has_no_form_for_is_written_as_text(odd: object) -> None:
    assert json.loads(line("request", reason=odd))["reason"] == str(odd)
