"""Progress bars on a terminal: how much of a stage is done, how fast, and how long it will take."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from planbalance.render.table import count, size


class Bars:
    """A `model.Progress` drawn by rich on stderr: count, bytes, rate, time left. It is removed when the stage ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task: Any = None

    def begin(self, what: str, total: int | None, unit: str) -> None:
        """Draw a new bar."""
        self.end()
        self._progress = Progress(*_columns(self._console.width), console=self._console, transient=True)
        self._task = self._progress.add_task(what, total=total, unit=unit, size=0)
        self._progress.start()

    def advance(self, count: int, size: int = 0) -> None:
        """Move the bar."""
        if self._progress is not None:
            known = self._progress.tasks[0].fields["size"]
            self._progress.update(self._task, advance=count, size=known + size)

    def end(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _columns(width: int) -> list[ProgressColumn]:
    """Return what fits: a narrow terminal keeps the stage, the count and the time left."""
    what = TextColumn("{task.description}", markup=False)
    if width < 60:
        return [what, Counted(with_unit=False), TimeRemainingColumn(compact=True)]
    bar = BarColumn(bar_width=20 if width < 100 else 30)
    return [what, bar, Counted(with_unit=width >= 80), StageRate(), TimeRemainingColumn(compact=True)]


class Counted(ProgressColumn):
    """`12,800/94,440 slices`."""

    def __init__(self, *, with_unit: bool) -> None:
        super().__init__()
        self._with_unit = with_unit

    def render(self, task: Task) -> Text:
        """Return the count."""
        total = "" if task.total is None else f"/{count(int(task.total))}"
        unit = f" {task.fields['unit']}" if self._with_unit else ""
        return Text(f"{count(int(task.completed))}{total}{unit}")


class StageRate(ProgressColumn):
    """`41,000/s 1.2 GiB`: units a second, and the bytes so far where they are known."""

    def render(self, task: Task) -> Text:
        """Return the rate."""
        speed = task.finished_speed or task.speed
        parts = [] if speed is None else [f"{count(round(speed))}/s"]
        if task.fields["size"]:
            parts.append(size(task.fields["size"]))
        return Text(" ".join(parts), style="dim")
