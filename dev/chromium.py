"""The distribution's Chromium, driven by Playwright: for the tests, and for pictures of what people look at.

It runs without a window, with a profile of its own that is gone afterwards, and as its users have it: Playwright's own
switches would hide scroll bars and let frames keep what a browser keeps from them. Every name and address is this
machine, so that a page of a test may have any origin, and nothing ever asks the outside.
"""

import json
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Playwright

from dev.packages import InstallError, find, install

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a font every text has no width.
PACKAGES = ("chromium", "fonts-dejavu-core")

START_SECONDS = 60

SWITCHES = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",
    "--force-color-profile=srgb",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--host-resolver-rules=MAP * 127.0.0.1",
)

# What frames of another site may keep. "partitioned" is Chromium's own default: no cookies, and a storage that other
# pages do not share. "blocked" is what it was before there was such a storage, and is where one blocks a site.
ThirdParty = Literal["allowed", "partitioned", "blocked"]
NOT_PARTITIONED = "--disable-features=ThirdPartyStoragePartitioning"


class NoChromiumError(Exception):
    """There is no Chromium on this machine; the message says why, and what to do about it."""


def program() -> str:
    """The path of a Chromium; installs Debian's, where there is none and this is root on Debian. Raises
    NoChromiumError.
    """
    found = _found()
    if found is None and _is_debian():
        try:
            install(PACKAGES, "what runs in a browser")
        except InstallError as reason:
            raise NoChromiumError(str(reason)) from None
        found = _found()
    if found is None:
        raise NoChromiumError(f"none of {', '.join(PROGRAMS)} is on this machine: install Chromium or Google Chrome")
    return found


@contextmanager
def launch(
    playwright: Playwright,
    *,
    width: int = 1280,
    height: int = 800,
    theme: Literal["light", "dark"] = "light",
    script: bool = True,
    third_party: ThirdParty = "partitioned",
    scale: float = 1,
) -> Iterator[BrowserContext]:
    """A Chromium with one empty page of that size in CSS px, `scale` device px each. Certificates are not checked.
    Raises NoChromiumError.
    """
    executable = program()
    more = ["--no-sandbox"] if os.geteuid() == 0 else []
    if third_party == "blocked":
        more.append(NOT_PARTITIONED)
    with tempfile.TemporaryDirectory(prefix="aft-chromium-", ignore_cleanup_errors=True) as folder:
        profile = Path(folder) / "Default"
        profile.mkdir()
        blocks_cookies = third_party != "allowed"
        preferences: dict[str, object] = {
            "block_third_party_cookies": blocks_cookies,
            "cookie_controls_mode": int(blocks_cookies),
        }
        if not script:
            # As a user does it. Playwright's way reaches a frame of another site too late at times, in the midst of it.
            preferences["default_content_setting_values"] = {"javascript": 2}
        (profile / "Preferences").write_text(json.dumps({"profile": preferences}), "utf-8")
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=executable,
            ignore_default_args=True,
            timeout=START_SECONDS * 1000,
            args=[*SWITCHES, *more, f"--user-data-dir={folder}", "about:blank"],
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            color_scheme=theme,
            ignore_https_errors=True,
            locale="en-GB",
            timezone_id="UTC",
        )
        try:
            yield context
        finally:
            context.close()


def listen(page: Page, complaints: list[str]) -> None:
    """Adds to the list whatever the page and its frames complain about from now on: warnings and errors on the console,
    and exceptions that nothing caught.
    """

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("warning", "error"):
            complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))


def _found() -> str | None:
    return next((path for path in map(find, PROGRAMS) if path), None)


def _is_debian() -> bool:
    """No other: Ubuntu's package of that name asks for a snap."""
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except OSError:
        return False
