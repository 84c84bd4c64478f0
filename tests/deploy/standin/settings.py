"""What the stand-in for Grafana reads of grafana.ini, in Grafana's own notation.

A value may say $__file{PATH} or $__env{NAME}; `cfg:default.SECTION.KEY=VALUE` on the command line gives a default, as
the package's unit does; GF_SECTION_KEY in the environment overrides what the file says.
"""

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

DEFAULTS = {
    "server": {
        "http_addr": "",
        "http_port": "3000",
        "root_url": "%(protocol)s://%(domain)s:%(http_port)s/",
        "serve_from_sub_path": "false",
    },
    "security": {
        "admin_user": "admin",
        "admin_password": "admin",
        "cookie_secure": "false",
        "cookie_samesite": "lax",
        "allow_embedding": "false",
        "disable_username_login_protection": "false",
        "disable_ip_address_login_protection": "true",
        "disable_brute_force_login_protection": "false",
    },
    "auth.anonymous": {"enabled": "false", "org_name": "Main Org."},
    "public_dashboards": {"enabled": "true"},
    "metrics": {"enabled": "true"},
    "paths": {"data": "/var/lib/grafana", "provisioning": "/etc/grafana/provisioning"},
}


class SettingsError(Exception):
    """Grafana would not start with these settings; the message says why."""


class Settings:
    """The settings by section and name; texts, as in the file, but with what their variables stand for."""

    def __init__(self, file: Path, words: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> None:
        # As the library that Grafana uses: a comment may follow a value, a section may come twice.
        parser = configparser.ConfigParser(
            interpolation=None, strict=False, inline_comment_prefixes=(" ;", " #"), delimiters=("=",)
        )
        parser.read_dict(DEFAULTS)
        for word in words:
            default = re.fullmatch(r"cfg:(?:default\.)?(.+)\.(\w+)=(.*)", word)
            if default:
                parser.read_dict({default[1]: {default[2]: default[3]}})
        try:
            # What stands before the first section belongs to none.
            parser.read_string(f"[DEFAULT]\n{file.read_text('utf-8')}")
        except (OSError, configparser.Error) as error:
            raise SettingsError(f"failed to parse {file}: {error}") from error
        self._parser = parser
        self._environ = environ

    def text(self, section: str, name: str) -> str:
        """A setting as text. Raises SettingsError when a file that it names cannot be read."""
        variable = f"GF_{section}_{name}".replace(".", "_").replace("-", "_").upper()
        raw = self._environ.get(variable, self._parser.get(section, name, fallback=""))
        return expand(raw.strip().strip("`").removeprefix('"""').removesuffix('"""'), self._environ)

    def flag(self, section: str, name: str) -> bool:
        """A setting that is true or false."""
        value = self.text(section, name).lower()
        if value not in ("true", "false", "1", "0", "t", "f", ""):
            raise SettingsError(f"[{section}] {name} is neither true nor false: {value}")
        return value in ("true", "1", "t")

    @property
    def path(self) -> str:
        """The path of root_url without the slash at its end; empty when it has none."""
        return re.sub(r"^[^:]+://[^/]*", "", self.text("server", "root_url")).rstrip("/")

    @property
    def data(self) -> Path:
        return Path(self.text("paths", "data"))


def expand(value: str, environ: Mapping[str, str] = os.environ) -> str:
    """What a value says once its $__file{} and $__env{} are read. Raises SettingsError when a file is not there."""

    def replace(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        if kind == "env":
            return environ.get(name, "")
        try:
            return Path(name).read_text("utf-8").rstrip("\n")
        except OSError as error:
            raise SettingsError(f"failed to expand $__file{{{name}}}: {error.strerror}") from error

    return re.sub(r"\$__(file|env)\{([^}]*)\}", replace, value)


def expand_provisioned(value: object, environ: Mapping[str, str] = os.environ) -> object:
    """The same for all texts of a provisioning file, where a variable may also be $NAME, and $$ stands for $.

    As seen with the real one, a `$` that came out of a file is taken for the beginning of a variable as well.
    """
    if isinstance(value, dict):
        return {name: expand_provisioned(each, environ) for name, each in value.items()}
    if isinstance(value, list):
        return [expand_provisioned(each, environ) for each in value]
    if not isinstance(value, str):
        return value
    return re.sub(
        r"\$(\$|\w+|\{\w+\})",
        lambda match: "$" if match[1] == "$" else environ.get(match[1].strip("{}"), ""),
        expand(value, environ),
    )
