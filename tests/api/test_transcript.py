"""POST /api/v1/transcript, as hosts see it: what is stored, what is answered."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import dict_row

from dev.embedded import EmbeddedPostgres
from tests.fixtures.client import Response
from tests.fixtures.collector import TRANSCRIPT, Collector
from tests.fixtures.postgres import connect, migrate

MIB = 2**20
ROW = """
SELECT *, xmin::text, xmax::text, ctid::text FROM session_transcripts WHERE host_id = %s AND session_id = 'abc123'
"""


def transcript(host: str, *contents: object) -> dict[str, Any]:
    """A transcript of `host` with a message for each content."""
    return {
        "sessionId": "abc123",
        "hostId": host,
        "transcript": [{"role": "user", "content": content, "index": n} for n, content in enumerate(contents)],
    }


def stored(collector: Collector, host: str) -> dict[str, Any] | None:
    """The row of the host's session, with what tells one version of it from the next."""
    with connect(collector.database_url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(ROW, [host]).fetchone()


def contents(collector: Collector, host: str) -> list[Any] | None:
    row = stored(collector, host)
    return [message["content"] for message in row["messages"]] if row else None


def refused(collector: Collector, host: str) -> int:
    """How many transcripts were refused as too large with keys of the host."""
    with connect(collector.database_url) as connection:
        row = connection.execute("SELECT times FROM refused_transcripts WHERE host_id = %s", [host]).fetchone()
    return int(row[0]) if row else 0


def answer(messages: int, *, unchanged: bool = False) -> dict[str, Any]:
    return {"success": True, "messages": messages, "unchanged": unchanged}


def assert_refused(response: Response, status: int, sentence: str) -> Any:
    """A refusal in the API's one shape; its details."""
    assert response.status == status, response.body
    assert set(response.json()) == {"error", "details"}
    assert sentence in response.json()["error"]
    assert response.headers["x-request-id"]
    return response.json()["details"]


def test_a_transcript_is_stored(shared_collector: Collector, host: str) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Fix this bug", "index": 0},
        {"role": "assistant", "content": [{"type": "tool_use", "input": {"command": "ls"}}], "uuid": "x"},
        {"role": "tool_result", "content": ""},
    ]
    response = shared_collector.send_transcript({"sessionId": "abc123", "hostId": host, "transcript": messages})
    assert (response.status, response.json()) == (200, answer(3))

    row = stored(shared_collector, host)
    assert row is not None
    assert row["messages"] == [{**message, "index": place} for place, message in enumerate(messages)]
    assert row["message_count"] == 3


def test_the_same_again_writes_nothing(shared_collector: Collector, host: str) -> None:
    first = shared_collector.send_transcript(transcript(host, "a", "b"))
    before = stored(shared_collector, host)
    reordered = dict(reversed(transcript(host, "a", "b").items()))
    again = [
        shared_collector.send_transcript(transcript(host, "a", "b")),
        shared_collector.post(TRANSCRIPT, json.dumps(reordered, indent=4).encode(), key=shared_collector.key),
    ]

    assert first.json() == answer(2)
    assert [response.json() for response in again] == [answer(2, unchanged=True)] * 2
    assert stored(shared_collector, host) == before


def test_the_same_again_is_known_whatever_its_size_and_spelling(shared_collector: Collector, host: str) -> None:
    for size in (10, 100_000):
        first, longer = transcript(host, "a" * size), transcript(host, "a" * size, "b")
        assert shared_collector.send_transcript(first).json() == answer(1)
        assert shared_collector.send_transcript(longer).json() == answer(2)
        before = stored(shared_collector, host)
        for sent, messages in ((longer, 2), (first, 1), (longer, 2)):
            for indent in (None, 1):
                body = json.dumps(sent, indent=indent).encode()
                response = shared_collector.post(TRANSCRIPT, body, key=shared_collector.key)
                assert response.json() == answer(messages, unchanged=True)
        assert stored(shared_collector, host) == before


def test_a_transcript_grows_by_a_message_at_a_time(shared_collector: Collector, host: str) -> None:
    for length in range(1, 20):
        sent = transcript(host, *"abcdefghijklmnopqrstuvwxyz"[:length])
        assert shared_collector.send_transcript(sent).json() == answer(length)
    assert contents(shared_collector, host) == list("abcdefghijklmnopqrs")


def test_a_late_retry_of_a_beginning_writes_nothing(shared_collector: Collector, host: str) -> None:
    shared_collector.send_transcript(transcript(host, "a", "b", "c"))
    before = stored(shared_collector, host)

    assert shared_collector.send_transcript(transcript(host, "a", "b")).json() == answer(2, unchanged=True)
    assert shared_collector.send_transcript(transcript(host)).json() == answer(0, unchanged=True)
    assert stored(shared_collector, host) == before


@pytest.mark.parametrize("later", [("x",), ("b",), ("a", "x"), ("a", "x", "c"), ("x", "a", "b", "c")])
def test_the_last_write_wins_even_when_it_is_shorter(
    shared_collector: Collector, host: str, later: tuple[str, ...]
) -> None:
    shared_collector.send_transcript(transcript(host, "a", "b", "c"))
    assert shared_collector.send_transcript(transcript(host, *later)).json() == answer(len(later))
    assert contents(shared_collector, host) == list(later)


def test_an_empty_transcript_is_stored_for_a_new_session_only(shared_collector: Collector, host: str) -> None:
    assert shared_collector.send_transcript(transcript(host)).json() == answer(0)
    assert contents(shared_collector, host) == []
    assert shared_collector.send_transcript(transcript(host, "a")).json() == answer(1)
    assert shared_collector.send_transcript(transcript(host)).json() == answer(0, unchanged=True)
    assert contents(shared_collector, host) == ["a"]


def test_gzip_and_chunks_are_taken(shared_collector: Collector, host: str) -> None:
    sent = transcript(host, "a" * (MIB // 2), "b" * (MIB // 2), "c" * (MIB // 2))
    assert shared_collector.post(TRANSCRIPT, sent, key=shared_collector.key, compress=True).json() == answer(3)

    body = json.dumps(sent).encode()
    pieces = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    headers = {"Content-Type": "application/json; charset=utf-8", "X-API-Key": shared_collector.key}
    assert shared_collector.request("POST", TRANSCRIPT, pieces, headers).json() == answer(3, unchanged=True)


def test_ten_thousand_messages_are_taken_and_one_more_is_refused_and_counted(
    shared_collector: Collector, host: str
) -> None:
    key = shared_collector.create_key(host)
    assert shared_collector.send_transcript(transcript(host, *["x"] * 10_000), key).json() == answer(10_000)
    assert refused(shared_collector, host) == 0

    response = shared_collector.send_transcript(transcript(host, *["x"] * 10_001), key)
    assert_refused(response, 413, "at most 10000 messages")
    assert contents(shared_collector, host) == ["x"] * 10_000
    assert refused(shared_collector, host) == 1


def test_a_message_of_a_mebibyte_is_taken_and_of_a_byte_more_is_refused_and_counted(
    shared_collector: Collector, host: str
) -> None:
    key = shared_collector.create_key(host)
    room = MIB - len(json.dumps(transcript(host, "")["transcript"][0]))
    assert shared_collector.send_transcript(transcript(host, "x" * room), key).json() == answer(1)

    for times in (1, 2):
        response = shared_collector.send_transcript(transcript(host, "x" * (room + 1)), key)
        assert_refused(response, 413, "at most 1 MiB")
        assert refused(shared_collector, host) == times
    assert contents(shared_collector, host) == ["x" * room]


@pytest.mark.parametrize("compress", [False, True])
def test_a_body_over_32_mib_is_refused_and_counted(shared_collector: Collector, host: str, compress: bool) -> None:
    key = shared_collector.create_key(host)
    fits, too_large = (b'{"sessionId": "' + b" " * (32 * MIB - 17 + more) + b'"}' for more in (0, 1))

    response = shared_collector.post(TRANSCRIPT, too_large, key=key, compress=compress)
    assert_refused(response, 413, "over 32 MiB")
    assert refused(shared_collector, host) == 1
    response = shared_collector.post(TRANSCRIPT, fits, key=key, compress=compress)
    assert_refused(response, 400, "The transcript was refused")
    assert refused(shared_collector, host) == 1


def test_a_transcript_of_32_mib_is_stored(shared_collector: Collector, host: str) -> None:
    sent = transcript(host, *["x" * (MIB - 1000)] * 31)
    began = time.monotonic()
    assert shared_collector.send_transcript(sent).json() == answer(31)
    assert time.monotonic() - began < 4
    assert shared_collector.send_transcript(sent).json() == answer(31, unchanged=True)


def test_a_wrong_message_is_named_by_its_place_and_nothing_is_stored(shared_collector: Collector, host: str) -> None:
    sent = transcript(host, "a", 5, "c")
    sent["transcript"][2]["role"] = "robot"
    details = assert_refused(shared_collector.send_transcript(sent), 400, "nothing of it is stored")
    assert details == {
        "transcript": {
            "1": {"content": ["Not a string or a list of objects."]},
            "2": {"role": ["Must be one of: user, assistant, tool_result, tool, system."]},
        }
    }
    assert stored(shared_collector, host) is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is not JSON"),
        (b"not JSON", "The body is not JSON"),
        (b'{"sessionId": "a"', "The body is not JSON"),
        (b'{"sessionId": "\xff", "hostId": "laptop", "transcript": []}', "UTF-8"),
        (b'{"sessionId": NaN}', "NaN and Infinity are no JSON"),
        (b'{"transcript": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"[]", "Send {"),
        (b"5", "Send {"),
        (b"{}", "The transcript was refused"),
    ],
)
def test_what_is_no_transcript_is_refused(shared_collector: Collector, body: bytes, sentence: str) -> None:
    assert_refused(shared_collector.post(TRANSCRIPT, body, key=shared_collector.key), 400, sentence)


def test_deep_nesting_is_refused_by_place(shared_collector: Collector, host: str) -> None:
    deep: list[Any] = []
    for _ in range(96):
        deep = [deep]
    fits = transcript(host, [{"input": deep}])
    assert shared_collector.send_transcript(fits).json() == answer(1)
    details = assert_refused(
        shared_collector.send_transcript(transcript(host, "a", [{"input": [deep]}])), 400, "The transcript was refused"
    )
    assert details == {"transcript": {"1": ["Nested too deeply."]}}


def test_halves_of_pairs_and_nul_become_replacement_characters(shared_collector: Collector, host: str) -> None:
    sent = transcript(host, "cut \ud83d", "nul \x00", "\ude00", "whole \U0001f600", "a \\ud83d \\u0000")
    assert shared_collector.send_transcript(sent).json() == answer(5)
    expected = ["cut \ufffd", "nul \ufffd", "\ufffd", "whole \U0001f600", "a \\ud83d \\u0000"]
    assert contents(shared_collector, host) == expected
    assert shared_collector.send_transcript(sent).json() == answer(5, unchanged=True)


def test_large_numbers_are_kept_to_the_digit_and_impossible_ones_refused(
    shared_collector: Collector, host: str
) -> None:
    numbers = [10**30, -(2**63) - 1, 2**64, 1e300, 0.1, 10**300]
    assert shared_collector.send_transcript(transcript(host, [{"numbers": numbers}])).json() == answer(1)
    assert contents(shared_collector, host) == [[{"numbers": numbers}]]

    for number in (b"1e999", b"9" * 5000):
        body = json.dumps(transcript(host, [{"number": 5}])).encode().replace(b'"number": 5', b'"number": ' + number)
        details = assert_refused(shared_collector.post(TRANSCRIPT, body, key=shared_collector.key), 400, "was refused")
        assert details == {"transcript": {"0": ["A number is out of range."]}}


def test_keys_and_their_hosts(shared_collector: Collector, host: str) -> None:
    sent = transcript(host, "a")
    assert_refused(shared_collector.post(TRANSCRIPT, sent), 401, "X-API-Key")
    assert_refused(shared_collector.post(TRANSCRIPT, sent, key="aft_unknown"), 403, "unknown")
    other = shared_collector.create_key(f"{host}-other")
    assert_refused(shared_collector.send_transcript(sent, other), 403, "may not write for this host")
    reader = shared_collector.create_key(host, scope="read")
    assert_refused(shared_collector.send_transcript(sent, reader), 403, "scope")
    assert stored(shared_collector, host) is None

    assert shared_collector.send_transcript(sent, shared_collector.create_key(host)).json() == answer(1)


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Encoding": "br"}, {"Content-Type": "application/json; charset=latin-1"}],
)
def test_other_types_and_encodings_are_refused(shared_collector: Collector, host: str, headers: dict[str, str]) -> None:
    sent = json.dumps(transcript(host, "a")).encode()
    response = shared_collector.post(TRANSCRIPT, sent, key=shared_collector.key, headers=headers)
    assert_refused(response, 415, "Send the body")
    broken = shared_collector.post(
        TRANSCRIPT, gzip.compress(sent)[:-9], key=shared_collector.key, headers={"Content-Encoding": "gzip"}
    )
    assert_refused(broken, 400, "gzip")


def test_a_transcript_in_the_log_is_numbers_and_a_host(collector: Collector) -> None:
    collector.send_transcript(transcript("laptop", "secret words", "more of them"))
    collector.stop()
    (line,) = [line for line in collector.log_lines() if line.get("path") == TRANSCRIPT]
    assert (line["host"], line["messages"], line["unchanged"]) == ("laptop", 2, False)
    assert "secret" not in collector.log_text()


def test_two_uploads_of_a_session_at_once_end_as_one_of_them_whole(
    start_collectors: Callable[..., list[Collector]], database_url: str
) -> None:
    collector, _ = start_collectors(2, database_url)
    assert collector.key
    with ThreadPoolExecutor(4) as pool:
        for number in range(30):
            host = f"host-{number % 5}"
            rivals = [transcript(host, *name * (1 + number * (n + 1))) for n, name in enumerate("abcd")]
            responses = list(pool.map(collector.send_transcript, rivals))
            assert [response.status for response in responses] == [200] * 4, [one.body for one in responses]
            row = stored(collector, host)
            assert row is not None
            assert row["messages"] in [rival["transcript"] for rival in rivals]
            assert row["message_count"] == len(row["messages"]) == len(row["chain"]) // 16


def test_a_refusal_stays_what_it_is_while_the_database_is_away(
    own_postgres: EmbeddedPostgres, start_collector: Callable[..., Collector]
) -> None:
    migrate(own_postgres.url())
    collector = start_collector(own_postgres.url())
    collector.send_transcript(transcript("laptop", "a"))
    own_postgres.stop()

    began = time.monotonic()
    response = collector.send_transcript(transcript("laptop", "x" * MIB))
    assert_refused(response, 413, "at most 1 MiB")
    response = collector.send_transcript(transcript("laptop", "a"))
    assert_refused(response, 503, "send it again")
    assert response.headers["retry-after"]
    assert time.monotonic() - began < 8


@pytest.mark.slow
def test_large_uploads_take_turns_and_leave_no_memory_behind(
    start_collector: Callable[..., Collector], database_url: str
) -> None:
    collector = start_collector(database_url)
    assert collector.key
    bodies = [json.dumps(transcript(f"host-{n}", *[f"{n}" + "x" * (MIB - 1000)] * 16)).encode() for n in range(8)]
    done, waits = threading.Event(), []

    def send_small() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert collector.send_transcript(transcript("small", str(began))).status == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.02)

    small = threading.Thread(target=send_small)
    small.start()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda body: collector.post(TRANSCRIPT, body, key=collector.key), bodies))
    done.set()
    small.join()

    assert {response.status for response in responses} <= {200, 503}
    assert 200 in [response.status for response in responses]
    assert all(response.headers["retry-after"] for response in responses if response.status == 503)
    assert max(waits) < 4
    # Two at once, three times their size each at the worst moment.
    assert memory_mib(collector, "VmHWM") < 200
    assert memory_mib(collector, "VmRSS") < 100


def memory_mib(collector: Collector, name: str) -> int:
    """What the collector's process has in memory (VmRSS), or had at most (VmHWM)."""
    lines = Path(f"/proc/{collector.process.pid}/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[name].split()[0]) // 1024
