"""The pages that a browser gets from the stand-in for Grafana. Each says what it is."""

from html import escape

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title} - stand-in for Grafana</title><base href="{path}/"></head>
<body>
<p><strong>This is a stand-in for Grafana {version}, made for tests. It is not Grafana and draws nothing.</strong></p>
<h1>{title}</h1>
<p>{text}</p>
</body>
</html>
"""


def page(path: str, version: str, title: str, text: str) -> bytes:
    """A page below that sub-path."""
    return PAGE.format(path=escape(path), version=escape(version), title=escape(title), text=escape(text)).encode()
