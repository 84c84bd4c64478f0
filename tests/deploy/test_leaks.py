"""The search for secrets finds them: else that none is found would say nothing."""

import base64
import subprocess
import sys

import pytest

from tests.deploy.leaks import ProcessList, leaks, search

SECRETS = {"postgres_password": "wrong7cow7generator99"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("postgres_password", "password: wrong7cow7generator99"),
        ("postgres_password", f"content: {base64.b64encode(b'wrong7cow7generator99').decode()}"),
        ("postgres_password", f"content: {base64.b64encode(b'wrong7cow7generator99' + bytes([10])).decode()}"),
        ("an API key", f"X-API-Key: aft_{'x' * 40}"),
        ("a private key", "-----BEGIN EC PRIVATE KEY-----"),
        ("a password's verifier", "SCRAM-SHA-256$4096:salt"),
    ],
)
def test_a_secret_is_found_and_not_repeated(name: str, text: str) -> None:
    (found,) = search([("log", f"before\n{text}\nafter")], SECRETS)
    assert found.startswith(f"log: {name}: ")
    assert "wrong7" not in found
    assert "xxxx" not in found


def test_what_is_no_secret_is_none() -> None:
    assert leaks("wrong7 cow7generator99, aft_short, BEGIN CERTIFICATE", SECRETS) == []


def test_the_command_line_of_a_process_is_seen() -> None:
    with ProcessList() as watched:
        command = [sys.executable, "-c", "import time; time.sleep(0.3)", "wrong7cow7generator99"]
        subprocess.run(command, check=True, timeout=20)
    assert len(leaks("\n".join(watched.seen), SECRETS)) >= 1
