"""What `tune` prints: tables, and a plot that any terminal can draw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from planbalance.render.table import Grid, Group, Renderable, count, heading, line, prose

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_LONGEST_BAR: Final = 40


def tune_text(document: Mapping[str, Any]) -> Renderable:
    """Return a measurement, a `tune.document_of`, for a person."""
    return Group(*_parts(document))


def _parts(document: Mapping[str, Any]) -> Iterable[Renderable]:
    named = document["file_system"]
    mounted = f", mounted at {named['mount_point']}" if named["mount_point"] else ""
    yield line((document["folder"], "bold"))
    yield prose(f"  {named['name']}{mounted}")
    yield heading("What works there")
    for probe in document["works"].values():
        mark = ("  yes  ", "green") if probe["ok"] else ("  no   ", "yellow")
        yield prose(mark, probe["what"] + (f": {probe['reason']}" if probe["reason"] else ""))
    yield heading("What a call takes")
    latency = Grid(("", "median", "95 of 100 below"))
    for name, told in document["latency"].items():
        latency.add(name, _time(told["median"]), _time(told["p95"]))
    yield latency
    for where, title in (("own", "each in a folder of its own"), ("one", "all in one folder")):
        rates = [rate for rate in document["rates"] if rate["where"] == where]
        yield heading(f"Files made and removed a second, {title}")
        yield BarPlot([(_workers(rate["kind"], rate["workers"]), rate["per_second"]) for rate in rates])
    yield heading("What apply would use there")
    yield from _settings(document["settings"])


def _settings(settings: Mapping[str, Any]) -> Iterable[Renderable]:
    yield prose(f"  workers  {_workers(settings['kind'], settings['workers'])}; it goes on watching the rate")
    yield prose(f"  modes    {', '.join(settings['modes'])}")
    yield prose(f"  copies   {settings['copy']}")
    by_rename = "rename, which takes an empty folder's place too"
    yield prose(f"  publish  {by_rename if settings['publish'] == 'rename' else settings['publish']}")
    if settings.get("one_file"):
        yield prose(
            "A call waits for a server here, and making a file takes several: --mode squashfs writes one image "
            "instead, in either layout (docs/how-to/one-file)."
        )
    if settings["layout"] == "by-volume":
        yield prose("Folders of their own make files faster here: plan with --layout by-volume.")


def _workers(kind: str, workers: int) -> str:
    return f"{workers} {kind if workers != 1 else {'processes': 'process', 'threads': 'thread'}[kind]}"


def _time(seconds: float) -> str:
    return f"{1e6 * seconds:.1f} us" if seconds < 1e-3 else f"{1e3 * seconds:.2f} ms"


@dataclass
class BarPlot:
    """A plot of horizontal bars, as long as the width allows: (what, how much)."""

    rows: Sequence[tuple[str, float]]

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        names = max((len(name) for name, _ in self.rows), default=0)
        numbers = [count(round(value)) for _, value in self.rows]
        digits = max(map(len, numbers), default=0)
        room = min(_LONGEST_BAR, options.max_width - names - digits - 6)
        most = max((value for _, value in self.rows), default=0.0)
        block = "#" if options.ascii_only or console.legacy_windows else "\N{FULL BLOCK}"
        for (name, value), number in zip(self.rows, numbers, strict=True):
            bar = block * max(1, round(room * value / most)) if room >= 4 and most else ""
            yield Text.assemble(
                f"  {name:>{names}} {number:>{digits}} ", (bar, "cyan"), no_wrap=True, overflow="ignore"
            )
