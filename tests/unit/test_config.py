"""Settings: each within its bounds, none unknown, and every error names the variable."""

import os
from dataclasses import Field
from typing import Any

import pytest

from app.config import ConfigError, Settings, load, table

URL = {"DATABASE_URL": "postgresql://telemetry@127.0.0.1/agent_telemetry"}
NUMBERS = [entry for entry in table() if entry.metadata["low"] is not None]
SWITCHES = [entry for entry in table() if entry.type in (bool, "bool")]
WORDS = [entry for entry in table() if entry.metadata["words"]]
TEXTS = [entry for entry in table() if entry not in (*NUMBERS, *SWITCHES, *WORDS) and entry.name != "time_zone"]


def variable(entry: Field[Any]) -> str:
    return str(entry.metadata["variable"])


def with_(entry: Field[Any], value: object) -> Settings:
    return load({**URL, variable(entry): str(value)})


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load(URL)
    assert (settings.host, settings.port) == ("127.0.0.1", 3001)
    assert settings.max_batch_events == 100
    assert settings.database_url == URL["DATABASE_URL"]
    assert (settings.listen_fds, settings.notify_socket) == (0, "")


def test_every_setting_has_a_name_a_help_and_a_default_within_its_bounds() -> None:
    names = [variable(entry) for entry in table()]
    assert len(set(names)) == len(names)
    assert {name for name in names if not name.startswith("TELEMETRY_")} == {"DATABASE_URL", "HOST", "PORT"}
    for entry in table():
        assert entry.metadata["help"].endswith(".")
    for entry in NUMBERS:
        assert entry.metadata["low"] <= getattr(load(URL), entry.name) <= entry.metadata["high"]


@pytest.mark.parametrize("entry", NUMBERS, ids=variable)
def test_a_number_is_taken_up_to_its_bounds_and_no_further(entry: Field[Any]) -> None:
    low, high = entry.metadata["low"], entry.metadata["high"]
    for value in (low, high):
        assert getattr(with_(entry, value), entry.name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"^{variable(entry)} must be from {low} to {high}, not {value}"):
            with_(entry, value)


@pytest.mark.parametrize("entry", NUMBERS, ids=variable)
@pytest.mark.parametrize("value", ["many", "1.5", "1e3", "0x10", "1_0", "\u0663", "8 threads", "true", "-"])
def test_what_is_no_number_stops_the_start_with_its_name(entry: Field[Any], value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable(entry)} must be a whole number from"):
        with_(entry, value)


def test_a_time_zone_is_known_by_its_name() -> None:
    assert load({**URL, "TELEMETRY_TIMEZONE": "Europe/Berlin"}).time_zone == "Europe/Berlin"
    for name in ("Berlin", "../../etc/passwd", "/etc/localtime", " "):
        with pytest.raises(ConfigError, match=r"^TELEMETRY_TIMEZONE must be a time zone such as UTC or Europe/Berlin"):
            load({**URL, "TELEMETRY_TIMEZONE": name})


@pytest.mark.parametrize("entry", TEXTS, ids=variable)
def test_text_is_taken_as_it_is(entry: Field[Any]) -> None:
    assert getattr(with_(entry, " any thing "), entry.name) == " any thing "


@pytest.mark.parametrize("entry", SWITCHES, ids=variable)
def test_a_switch_is_true_or_false(entry: Field[Any]) -> None:
    for value, meant in (("true", True), ("false", False), ("True", True), ("False", False)):
        assert getattr(with_(entry, value), entry.name) is meant
    for value in ("on", "yes", "1", "no"):
        with pytest.raises(ConfigError, match=f"^{variable(entry)} must be true or false, not '{value}'"):
            with_(entry, value)


def test_origins_are_origins() -> None:
    def embed(text: str) -> str:
        return load({**URL, "TELEMETRY_EMBED_ORIGINS": text}).embed_origins

    several = "https://ha.example.com http://homeassistant.local:8123 https://*.ui.nabu.casa http://[fd00::1]:8123"
    assert embed(several) == several
    assert embed("  https://a.example\n https://b.example ") == "https://a.example https://b.example"
    for wrong in ("https://a.example/", "a.example", "*", "https://a.example;script-src", "'none'", "https://a,b"):
        with pytest.raises(
            ConfigError, match=r"^TELEMETRY_EMBED_ORIGINS must be origins such as https://ha\.example\.com"
        ):
            embed(f"https://good.example {wrong}")


@pytest.mark.parametrize("entry", table(), ids=variable)
def test_an_empty_variable_is_one_that_is_not_set(entry: Field[Any]) -> None:
    if variable(entry) == "DATABASE_URL":
        with pytest.raises(ConfigError, match=r"^DATABASE_URL is not set; give a libpq URL such as postgresql://"):
            load({"DATABASE_URL": ""})
    else:
        assert with_(entry, "") == load(URL)


def test_without_a_database_nothing_starts() -> None:
    with pytest.raises(ConfigError, match=r"^DATABASE_URL is not set"):
        load({})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TELEMETRY_THREAD", "did you mean TELEMETRY_THREADS?"),
        ("TELEMETRY_EVENTS_RETENTION_DAYS", "did you mean TELEMETRY_EVENT_RETENTION_DAYS?"),
        ("TELEMETRY_XYZZY_42", "see the settings in the README."),
    ],
)
@pytest.mark.parametrize("value", ["4", ""])
def test_an_unknown_setting_stops_the_start_with_its_name_and_the_nearest(name: str, hint: str, value: str) -> None:
    with pytest.raises(ConfigError) as error:
        load({**URL, name: value})
    assert str(error.value).startswith(f"{name} is no setting; ")
    assert hint in str(error.value)


def test_the_clients_own_variables_are_ignored_and_so_are_others() -> None:
    others = {"TELEMETRY_HOST_ID": "laptop", "TELEMETRY_ENDPOINT": "https://x", "PATH": "/bin", "MY_TELEMETRY_X": "1"}
    assert load({**URL, **others}) == load(URL)


def test_sockets_are_taken_from_systemd() -> None:
    handed_over = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "NOTIFY_SOCKET": "/run/systemd/notify"}
    settings = load({**URL, **handed_over})
    assert (settings.listen_fds, settings.notify_socket) == (2, "/run/systemd/notify")


@pytest.mark.parametrize("pid", [str(os.getppid()), "1", "", "systemd"])
def test_sockets_that_were_meant_for_another_process_are_left_alone(pid: str) -> None:
    assert load({**URL, "LISTEN_PID": pid, "LISTEN_FDS": "1"}).listen_fds == 0
    assert load({**URL, "LISTEN_FDS": "1"}).listen_fds == 0


def test_a_number_of_sockets_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"^LISTEN_FDS must be a number"):
        load({**URL, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "one"})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load(URL).port = 1  # type: ignore[misc]
