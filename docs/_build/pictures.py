"""Draw the pictures of the README from real runs: `make pictures`; the page's needs chromium.

The terminal is a real pseudo-terminal of 88 columns, its colours kept; the page is the one of `report --html`.
"""

import io
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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
PLACE = "/tmp/scratch"  # where the pictures say they were taken
# Fonts come from the reader's machine, never from another host.
SVG = re.sub(r"@font-face\s*\{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class Shot(NamedTuple):
    """A command whose answer is drawn: `lines` lines of it, from the one that begins with `first`."""

    name: str
    words: tuple[str, ...]
    first: str
    lines: int


PLAN = Shot("plan", ("plan", "knee_mri", "--output", "balanced"), "Names", 26)
VERIFY = Shot("verify", ("verify", "balanced"), "Names", 30)


def terminal(shot: Shot, folder: Path) -> str:
    """Run a command in a terminal and return what it says, drawn."""
    said = in_terminal(*shot.words, cwd=folder, columns=COLUMNS).replace("\r\n", "\n")
    shown = Text.from_ansi(said.replace(os.fspath(folder), PLACE)).split("\n")
    start = next(number for number, line in enumerate(shown) if line.plain.startswith(shot.first))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ planbalance {' '.join(shot.words)}\n", style="bold"))
    for line in shown[start : start + shot.lines]:
        console.print(line)
    svg = console.export_svg(title="planbalance", theme=MONOKAI, code_format=SVG, unique_id=shot.name)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


def terminals(folder: Path) -> dict[str, str]:
    """Return the pictures of the terminal by name: a dataset is drawn below `folder`, planned, built and audited.

    `folder` is as long as `PLACE`, which stands in its place: so nothing wraps elsewhere.
    """
    assert len(os.fspath(folder)) == len(PLACE)
    demo.write_dataset(os.fspath(folder / "knee_mri"))
    drawn = {PLAN.name: terminal(PLAN, folder)}
    in_terminal("apply", "--mode", "symlink", cwd=folder)
    return drawn | {VERIFY.name: terminal(VERIFY, folder)}


def scratch() -> Path:
    """Make a folder that nobody else has, as long as `PLACE`."""
    folder = Path(os.path.dirname(PLACE), secrets.token_hex(8)[: len(os.path.basename(PLACE))])
    folder.mkdir()
    return folder


def page(folder: Path) -> None:
    """Draw the top of the page of a plan, and its strips of volumes."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("There is no chromium: the page was not drawn.")
    in_terminal("report", "plan.json", "--html", "report.html", cwd=folder)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    whole = (folder / "report.html").read_text(encoding="utf-8").replace(os.fspath(folder), PLACE)
    (folder / "report.html").write_text(whole, encoding="utf-8")
    # Its policy refuses styles that are not its own.
    alone = "<style>.bar, nav, main > :not(#volumes) { display: none !important } body { padding-top: 1.5rem }</style>"
    strips = re.sub("<meta http-equiv[^>]*>", alone, whole, count=1)
    (folder / "volumes.html").write_text(strips, encoding="utf-8")
    for source, picture, height in (("report.html", "page.png", 840), ("volumes.html", "volumes.png", 680)):
        target = f"--screenshot={PICTURES / picture}"
        window = f"--window-size=1100,{height}"
        subprocess.run([chromium, *flags, window, target, f"file://{folder}/{source}"], check=True, capture_output=True)


def main() -> None:
    """Draw all."""
    PICTURES.mkdir(exist_ok=True)
    folder = scratch()
    try:
        for name, drawn in terminals(folder).items():
            (PICTURES / f"{name}.svg").write_text(drawn, encoding="utf-8")
        page(folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
