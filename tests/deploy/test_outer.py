"""What a test host is told of the machine that it runs on."""

import platform
from pathlib import Path

import pytest

from tests.deploy import outer

STANZAS = """
# A comment
Types: deb deb-src
URIs: http://mirror.test/debian
  http://second.test/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main
Enabled: yes

Enabled: no
Types: deb
URIs: http://disabled.test/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://supplier.test/
Suites: nodistro
Components: main
"""

LINES = """
# deb http://off.test/debian bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.test/debian bookworm-backports main # newer
deb http://lines.test/debian bookworm contrib main
deb-src http://sources.test/debian bookworm main
"""


@pytest.fixture
def bookworm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /etc/apt, on a machine with Debian 12."""
    (tmp_path / "sources.list.d").mkdir()
    monkeypatch.setattr(outer, "APT", tmp_path)
    release = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    return tmp_path


def test_packages_come_from_where_this_machine_has_them_in_another_suite(bookworm: Path) -> None:
    (bookworm / "sources.list.d/debian.sources").write_text(STANZAS)
    assert outer.apt_sources("trixie") == [
        "deb http://mirror.test/debian trixie main",
        "deb http://mirror.test/debian trixie-updates main",
        "deb http://second.test/debian trixie main",
        "deb http://second.test/debian trixie-updates main",
        "deb http://mirror.test/security trixie-security main",
    ]


def test_an_old_list_of_lines_is_understood_too(bookworm: Path) -> None:
    (bookworm / "sources.list").write_text(LINES)
    (bookworm / "sources.list.d/off.list.disabled").write_text("deb http://disabled.test/debian bookworm main\n")
    assert outer.apt_sources("bookworm") == ["deb http://lines.test/debian bookworm main"]


def test_another_distribution_s_sources_are_none_for_debian(bookworm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bookworm / "sources.list").write_text(LINES)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "ubuntu", "VERSION_CODENAME": "noble"})
    assert outer.apt_sources("trixie") == []


def test_pip_is_told_this_machine_s_index_and_the_copy_of_its_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.test/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/a/folder/of/this/machine")
    settings = outer.pip_environment()
    assert settings["PIP_INDEX_URL"] == "http://index.test/simple"
    assert "PIP_FIND_LINKS" not in settings
    assert settings.get("PIP_CERT", outer.CA_BUNDLE_INSIDE) == outer.CA_BUNDLE_INSIDE


def test_a_name_server_on_this_machine_s_loopback_is_of_no_use_to_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stub").write_text("nameserver 127.0.0.53\noptions edns0\n")
    (tmp_path / "real").write_text("nameserver 192.0.2.53\n")
    monkeypatch.setattr(outer, "RESOLVERS", (tmp_path / "stub", tmp_path / "real"))
    assert outer.resolv_conf() == "nameserver 192.0.2.53\n"
