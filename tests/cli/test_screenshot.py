"""The terminal as a picture: what a person sees at 100 columns, taken by a real Chromium."""

import html
import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.browser import browsed, needs_browser
from tests.cli.command import knees
from tests.cli.terminal import in_terminal

pytestmark = list(needs_browser)

DRIVER = Path(__file__).with_name("screen.cjs")
COLUMNS = 100
# What moves the cursor, as bars do; the rest is text and its colours.
MOVE = re.compile(r"(\r\n|\n|\r|\x1b\[1A|\x1b\[2K|\x1b\[\?25[lh])")
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>terminal</title><style>
body { margin: 0; background: #fff; }
#screen { display: inline-block; padding: 18px 22px; background: #16181d; color: #e4e4e4; }
pre { margin: 0; font: 14px/1.45 "Liberation Mono", "DejaVu Sans Mono", monospace; }
</style></head><body><div id="screen"><pre>%s</pre></div></body></html>"""


def test_a_session_from_scan_to_verify(tmp_path: Path) -> None:
    knees(tmp_path / "yolo_dataset")
    commands = (
        ("scan", "yolo_dataset"),
        ("plan", "yolo_dataset", "--output", "balanced", "--seed", "42"),
        ("show", "--volume", "01-02-00003"),
        ("apply", "--mode", "symlink"),
        ("verify", "balanced", "--quick"),
    )
    seen = "".join(
        f"\x1b[1;32m$\x1b[0m planbalance {' '.join(words)}\n\n{in_terminal(*words, cwd=tmp_path, columns=COLUMNS)}\n"
        for words in commands
    )
    page = tmp_path / "terminal.html"
    page.write_text(PAGE % as_html(seen.replace(str(tmp_path), "/data")), encoding="utf-8")
    found = browsed(DRIVER, page, "terminal", tmp_path)
    assert found["messages"] == []
    assert Path(found["shot"]).stat().st_size > 20_000
    assert "files" not in found["text"].split("Input")[0], "the bar is gone"
    for words in ("Only plan.json was written", "Built /data/balanced", "Checked and ok", "OK No slice"):
        assert words in found["text"]


def as_html(seen: str) -> str:
    """Return what stays on a terminal's screen, its colours as mark-up."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in on_screen(seen):
        console.print(Text.from_ansi(line), overflow="fold")
    written = console.export_html(inline_styles=True, code_format="{code}", theme=MONOKAI)
    assert "\x1b" not in html.unescape(written)
    return written


def on_screen(seen: str) -> list[str]:
    """Return the lines that stay: a bar is drawn over and taken away."""
    lines = [""]
    for part in MOVE.split(seen):
        if part in {"\r\n", "\n"}:
            lines.append("")
        elif part == "\x1b[1A":
            lines.pop()
        elif part in {"\r", "\x1b[2K"}:
            lines[-1] = ""
        elif not part.startswith("\x1b[?"):
            lines[-1] += part
    return lines
