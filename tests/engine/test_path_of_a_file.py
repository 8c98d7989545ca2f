"""From the command to the system call that makes one file: the functions that docs/architecture.md lists, and no more.

A reader follows one image of a copy by them. Each calls the next one by name; where a process or the event loop stands
in between, the next one is handed over.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from planbalance import api, engine, fs
from planbalance.cli.apply import apply as command
from planbalance.engine.apply import build
from planbalance.engine.context import run_until_signal
from planbalance.engine.dispatcher import Dispatcher
from planbalance.engine.placer import Placer
from planbalance.engine.placer_pool import PlacerProcess
from planbalance.executor import processes

PATH: list[tuple[Callable[..., object], str]] = [  # each with the words by which it reaches the next
    (command.callback, "api.apply("),  # type: ignore[list-item]  # click keeps the function there
    (api.apply, "engine.apply_plan("),
    (engine.apply_plan, "run_until_signal(context, run)"),
    (run_until_signal, "await run(context)"),
    (build, "dispatcher.run("),
    (Dispatcher.run, "self._start_workers()"),
    (Dispatcher._start_workers, "self._work, worker"),
    (Dispatcher._work, "worker.place"),
    (PlacerProcess.place, 'self.ask("place", batch)'),
    (processes.Child.ask, "self._questions.sendall("),
    (processes._serve, "getattr(service, method)"),
    (Placer.place, "self._place_part("),
    (Placer._place_part, "place_image(operation"),
    (Placer.copy_image, "fs.write_new("),
    (fs.write_new, "os.open("),
]


@pytest.mark.parametrize(("function", "reaches"), PATH, ids=lambda each: getattr(each, "__qualname__", ""))
def test_each_function_reaches_the_next(function: Callable[..., object], reaches: str) -> None:
    assert reaches in inspect.getsource(inspect.unwrap(function))


def test_the_page_lists_these_functions() -> None:
    page = (Path(__file__).parents[2] / "docs/architecture.md").read_text()
    paragraph = page[page.index("One image of a copy passes") :].partition("\n\n")[0]
    listed = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", paragraph)]
    assert listed == [function.__name__ for function, _ in PATH]
    assert f"passes {len(PATH)} functions" in paragraph
    assert len(PATH) <= 15
