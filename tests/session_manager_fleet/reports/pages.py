"""HTML pages as parsers and Chromium see them."""

import subprocess
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

# Shows the page in a frame, because a window of Chromium is never narrower than 500 pixels.
_FRAME = """<!doctype html><title>frame</title><body><iframe width="{width}" height="900" src="page.html"></iframe>
<script>addEventListener("message", (event) => {{ document.body.dataset.seen = event.data; }});</script></body>
"""


class Page(HTMLParser):
    """Collects the elements of a page, and their texts by the innermost element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: defaultdict[str, list[str]] = defaultdict(list)
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.texts[self.elements[-1][0]].append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def show(browser: str, folder: Path, text: str, width: int = 1280, *, framed: bool = True) -> tuple[str, list[str]]:
    """Show a page; return the content around it, with what its probe has posted, and the console.

    Without a frame, return the content of the page itself once it is loaded, in real time.
    """
    page = folder / "page.html"
    page.write_text(text, encoding="utf-8")
    path = folder / "frame.html"
    path.write_text(_FRAME.format(width=width), encoding="utf-8")
    shown = ["--virtual-time-budget=3000", "--dump-dom", path.as_uri()] if framed else ["--dump-dom", page.as_uri()]
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}"),
            *("--disable-quic", "--window-size=1400,1000", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *("--enable-logging=stderr", *shown),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
