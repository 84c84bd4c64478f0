"""What a test host inherits from the machine that runs it: where packages come from, and whom to trust and ask.

Nothing here names a server: a developer's mirror, proxy or package index is found in that machine's own settings.
"""

import itertools
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from dev.packages import environment, find

APT = Path("/etc/apt")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Where a test host finds the outer machine's bundle. It is not its own trust store: that stays the distribution's.
CA_BUNDLE_INSIDE = "/etc/ssl/outer-machine-ca.crt"

RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


def apt_sources(suite: str) -> list[str]:
    """The outer machine's own apt sources as one-line entries for another suite; empty where it is no Debian."""
    release = platform.freedesktop_os_release()
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not codename:
        return []
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    found: list[str] = []
    for file in files:
        if file.suffix == ".sources":
            found += _stanzas(file.read_text())
        elif file.suffix == ".list" and file.exists():
            found += _lines(file.read_text())
    # Of other suppliers' repositories a bare host knows nothing.
    own = re.compile(rf"deb (\S+) {re.escape(codename)}(-updates|-security|) main")
    return list(dict.fromkeys(f"deb {m[1]} {suite}{m[2]} main" for m in map(own.fullmatch, found) if m))


def _stanzas(text: str) -> list[str]:
    """The entries of a deb822 file that are enabled, each as lines of one suite and one component."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text):
        kept = "\n".join(line for line in paragraph.splitlines() if not line.startswith("#"))
        # A field goes on in the lines after it that are indented.
        found = re.findall(r"^([\w-]+):((?:.*(?:\n[ \t].*)*))", kept, re.MULTILINE)
        fields = {name.lower(): value.split() for name, value in found}
        if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
            parts = (fields.get(name, []) for name in ("uris", "suites", "components"))
            lines += [f"deb {uri} {suite} {component}" for uri, suite, component in itertools.product(*parts)]
    return lines


def _lines(text: str) -> list[str]:
    """The entries of a file of lines, each as lines of one component."""
    found = re.findall(r"^deb[ \t]+(?:\[[^\]]*\][ \t]+)?(\S+)[ \t]+(\S+)[ \t]+([^#\n]*)", text, re.MULTILINE)
    return [f"deb {uri} {suite} {component}" for uri, suite, words in found for component in words.split()]


def apt_options(sources: list[str]) -> list[str]:
    """Lines of apt.conf: how the outer machine reaches its mirror (proxies, retries, leniency about dates)."""
    apt_config = find("apt-config")
    if apt_config is None:
        return []
    dump = subprocess.run([apt_config, "dump"], capture_output=True, text=True, env=environment(), check=True)
    wanted = re.compile(r'Acquire::(http|https|Check-|Retries|ForceIPv).* ".+";')
    lines = [line for line in dump.stdout.splitlines() if wanted.fullmatch(line) and "CAInfo" not in line]
    if any("https://" in source for source in sources):
        lines.append(f'Acquire::https::CAInfo "{CA_BUNDLE_INSIDE}";')
    return lines


def pip_environment() -> dict[str, str]:
    """PIP_* for pip inside a test host: the outer machine's index and proxy, and the copy of its CA bundle."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    found: dict[str, str] = {}
    # As pip has it: the environment counts more than a file.
    for scope in ("global", "install", ":env:"):
        found.update(re.findall(rf"^{scope}\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    wanted = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "retries")
    settings = {f"PIP_{name.replace('-', '_').upper()}": found[name] for name in wanted if name in found}
    if CA_BUNDLE.exists():
        settings["PIP_CERT"] = CA_BUNDLE_INSIDE
    return settings


def resolv_conf() -> str:
    """A resolv.conf that works elsewhere too: the name servers of the outer machine that are not its loopback's."""
    for file in RESOLVERS:
        if file.exists():
            servers = [line for line in file.read_text().splitlines() if re.match(r"nameserver\s+(?!127\.|::1)", line)]
            if servers:
                return "\n".join([*servers, ""])
    return ""


def ca_bundle() -> bytes:
    """The certificates that the outer machine trusts; empty where it has no bundle."""
    own = Path(os.environ.get("SSL_CERT_FILE", CA_BUNDLE))
    return next((file.read_bytes() for file in (own, CA_BUNDLE) if file.exists()), b"")
