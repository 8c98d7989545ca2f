"""Draw the pictures of the README from real runs: `python docs/_build/pictures.py`; the page's needs chromium.

The terminal is a real pseudo-terminal of 88 columns, its colours kept; the page is the one of `report --html`.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))

from planbalance import demo  # noqa: E402 - the checkout's, not an installed one
from tests.cli.terminal import in_terminal  # noqa: E402

PICTURES = REPOSITORY / "docs/pictures"
COLUMNS = 88
# Fonts come from the reader's machine, never from another host.
SVG = re.sub(r"@font-face\s*\{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def terminal(name: str, words: list[str], folder: Path, *, first: str, lines: int) -> None:
    """Run a command in a terminal and draw `lines` lines of what it says, from the one that begins with `first`."""
    said = Text.from_ansi(in_terminal(*words, cwd=folder, columns=COLUMNS).replace("\r\n", "\n"))
    shown = said.split("\n")
    start = next(number for number, line in enumerate(shown) if line.plain.startswith(first))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ planbalance {' '.join(words)}\n", style="bold"))
    for line in shown[start : start + lines]:
        console.print(line)
    svg = console.export_svg(title="planbalance", theme=MONOKAI, code_format=SVG, unique_id=name)
    (PICTURES / f"{name}.svg").write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()), encoding="utf-8")


def page(folder: Path) -> None:
    """Draw the top of the page of a plan, and its strips of volumes."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("There is no chromium: the page was not drawn.")
    in_terminal("report", "plan.json", "--html", "report.html", cwd=folder)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,680"]
    whole = (folder / "report.html").read_text(encoding="utf-8")
    # Its policy refuses styles that are not its own.
    alone = "<style>.bar, nav, main > :not(#volumes) { display: none !important } body { padding-top: 1.5rem }</style>"
    strips = re.sub("<meta http-equiv[^>]*>", alone, whole, count=1)
    (folder / "volumes.html").write_text(strips, encoding="utf-8")
    for source, picture in (("report.html", "page.png"), ("volumes.html", "volumes.png")):
        target = f"--screenshot={PICTURES / picture}"
        subprocess.run([chromium, *flags, target, f"file://{folder}/{source}"], check=True, capture_output=True)


def main() -> None:
    """Draw all."""
    PICTURES.mkdir(exist_ok=True)
    folder = Path(tempfile.gettempdir(), "scratch")  # its name is in the pictures
    folder.mkdir()
    try:
        demo.write_dataset(os.fspath(folder / "knee_mri"))
        plan = ["plan", "knee_mri", "--output", "balanced"]
        terminal("plan", plan, folder, first="Split of volumes", lines=29)
        in_terminal("apply", "--mode", "symlink", cwd=folder)
        terminal("verify", ["verify", "balanced"], folder, first="No slice", lines=24)
        page(folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
