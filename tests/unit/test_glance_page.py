"""The page: what it says, that it is safe and small whatever it is made of, and that it can be read by everybody."""

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from app.glance import page, words
from app.store.overview import DAY, WEEK, Overview
from tests.unit.overviews import busy, empty, single, with_silent

LIMIT = 60_000
HOSTILE = (
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "&lt;b&gt; &amp; '\"`",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe \u0000\x1b[31m",
    "\U0001f469\u200d\U0001f4bb" * 60,
    "'" * 255,
    "\ud800 half a pair",
)
# Elements that need no end.
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """A page as a list of elements, and its text; fails where it is not well formed."""

    def __init__(self, body: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(body.decode())
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        """All text but the style's, with single spaces."""
        return " ".join(" ".join(self.texts).split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of each element of that name."""
        return [attributes for element, attributes in self.elements if element == name]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)


def overviews() -> Iterator[tuple[str, Overview]]:
    for window in (DAY, WEEK):
        days = window.length.days
        yield f"empty-{days}", empty(window)
        yield f"single-{days}", single(window)
        yield f"busy-{days}", busy(window)
        yield f"silent-{days}", with_silent(busy(window), 4)


CASES = dict(overviews())


def pages() -> Iterator[tuple[str, bytes]]:
    for name, overview in CASES.items():
        for theme in ("", *page.THEMES):
            yield f"{name}-{theme or 'auto'}", page.render(overview, theme)
        yield f"{name}-away", page.render(overview, away=True)
    for number, name in enumerate(HOSTILE):
        yield f"hostile-{number}", page.render(busy(agent=name, host=name))
    yield "away", page.render_away(DAY)


PAGES = dict(pages())


@pytest.fixture(params=PAGES)
def body(request: pytest.FixtureRequest) -> bytes:
    return PAGES[request.param]


def test_every_page_is_small_and_well_formed(body: bytes) -> None:
    assert len(body) <= LIMIT
    assert Reader(body).elements[0][0] == "html"


def test_no_page_runs_loads_or_keeps_anything(body: bytes) -> None:
    names = {name for name, _ in Reader(body).elements}
    assert not names & {"script", "img", "iframe", "object", "embed", "link", "form", "input", "base", "audio", "video"}
    for name, attributes in Reader(body).elements:
        for attribute, value in attributes.items():
            assert not attribute.startswith("on"), attribute
            # The policy allows no style but the one element's.
            assert attribute not in ("style", "src", "srcset", "action", "xlink:href"), attribute
            if attribute == "href":
                assert name == "a"
                assert re.fullmatch(r"\?range=(24h|7d)(&theme=(light|dark))?", value or "")
    assert b"url(" not in body
    assert b"@import" not in body


def test_the_policy_allows_the_page_its_own_style_and_nothing_else(body: bytes) -> None:
    (style,) = re.findall(rb"<style>(.*?)</style>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    policy = page.content_security_policy("'self' https://ha.example.com")
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self' https://ha.example.com",
    ]


def test_it_comes_again_by_itself(body: bytes) -> None:
    assert {"http-equiv": "refresh", "content": "30"} in Reader(body).all("meta")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text(name: str) -> None:
    reader, plain = Reader(page.render(busy(agent=name, host=name))), Reader(page.render(busy()))
    assert [element for element, _ in reader.elements] == [element for element, _ in plain.elements]
    assert " ".join(words.short(name).split()) in reader.text
    # What cannot be seen, or turns the text around it, is shown as a sign.
    assert not [character for character in reader.text if character in "\u202e\u0000\x1b\ud800"]


def test_long_names_are_cut_and_say_so() -> None:
    text = Reader(page.render(busy(agent="a" * 200, host="h" * 200))).text
    assert "a" * 47 + "\u2026" in text
    assert "a" * 48 not in text


def test_everybody_can_read_it(body: bytes) -> None:
    reader = Reader(body)
    assert reader.all("html")[0]["lang"] == "en"
    assert len(reader.all("h1")) == 1
    for attributes in reader.all("svg"):
        told = attributes.get("role") == "img" and attributes.get("aria-label")
        assert told or attributes.get("aria-hidden") == "true"
    for attributes in reader.all("th"):
        assert attributes["scope"] in ("col", "row")
    identities = [str(attributes["id"]) for _, attributes in reader.elements if "id" in attributes]
    assert len(set(identities)) == len(identities)
    for _, attributes in reader.elements:
        assert attributes.get("aria-labelledby", "") in ("", *identities)


def test_a_chart_is_told_in_words() -> None:
    charts = [str(svg["aria-label"]) for svg in Reader(PAGES["busy-1-auto"]).all("svg") if "aria-label" in svg]
    assert charts[0].startswith("Decisions per hour: ")
    assert "approved" in charts[0]
    assert "denied" in charts[0]
    assert "most from" in charts[0]
    assert charts[1].startswith("Latency per hour: 95th percentile between 1.90")


def test_a_change_is_told_in_words() -> None:
    text = Reader(PAGES["busy-1-auto"]).text
    assert "22 % more than in the 24 hours before" in text.replace("\u202f", " ")
    assert "percentage points more than in the 24 hours before" in text


def test_the_numbers_are_there() -> None:
    text = Reader(PAGES["busy-1-auto"]).text.replace("\u202f", " ")
    for shown in ("Events 24.3 k", "Denied 3.5 %", "Errors 0.5 %", "Latency p95 2.14 s", "Approved 96 %", "$61.20"):
        assert shown in text, shown
    assert "agent14" in text
    assert "and 3 more" in text
    assert "and 4 more" in text


def test_silent_hosts_are_told_apart_by_a_word() -> None:
    text = Reader(PAGES["silent-1-auto"]).text
    # Four in the table, one in the title and one in the verdict.
    assert text.count("silent") == 6
    assert "4 of 19 hosts are silent" in text


def test_an_empty_site_says_what_to_do_next_without_a_key() -> None:
    text = Reader(PAGES["empty-1-auto"]).text
    for word in (
        "TELEMETRY_ENDPOINT",
        "TELEMETRY_HOST_ID",
        "AGENT_FRAMEWORK_API_KEY",
        "curl",
        "/api/v1/telemetry/batch",
    ):
        assert word in text
    assert "aft_" not in text


def test_a_database_that_is_away_is_told_with_the_time_of_the_numbers() -> None:
    text = Reader(PAGES["busy-1-away"]).text
    assert "The database is away" in text
    # By the site's own clock, which is an hour ahead.
    assert "16:42, 24 November" in text
    assert "24.3" in text
    assert "No numbers are known yet" in Reader(PAGES["away"]).text


@pytest.mark.parametrize("theme", page.THEMES)
def test_the_theme_that_was_asked_for_stays(theme: str) -> None:
    reader = Reader(PAGES[f"busy-1-{theme}"])
    assert reader.all("html")[0]["class"] == theme
    assert [link["href"] for link in reader.all("a")] == [f"?range=24h&theme={theme}", f"?range=7d&theme={theme}"]
    assert "class" not in Reader(PAGES["busy-1-auto"]).all("html")[0]


def colours() -> dict[str, dict[str, str]]:
    """The style's colours, by theme."""
    light, automatic, dark = re.findall(r"\{\s*(--ground.*?)\}", page.STYLE, re.DOTALL)
    assert automatic.split() == dark.split()
    return {name: dict(re.findall(r"--(\w+): (#\w+)", block)) for name, block in (("light", light), ("dark", dark))}


def luminance(colour: str) -> float:
    """By WCAG 2, of #rgb or #rrggbb."""
    digits = colour[1:] if len(colour) > 4 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", page.THEMES)
def test_contrast(theme: str) -> None:
    """4.5 for text, 3 for what is drawn."""
    found = colours()[theme]
    for name in ("text", "muted", "good", "notice", "bad"):
        assert contrast(found[name], found["ground"]) >= 4.5, name
    for name in ("text", "muted"):
        assert contrast(found[name], found["chip"]) >= 4.5, name
    for name in ("approved", "denied", "failed", "other", "line"):
        assert contrast(found[name], found["ground"]) >= 3, name
