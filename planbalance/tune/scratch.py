"""A temporary folder to measure in, which is removed in any case."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from planbalance import fs
from planbalance.errors import PlanError
from planbalance.text import error_text

PREFIX: Final = ".planbalance-tune-"


@contextmanager
def scratch(folder: str) -> Iterator[fs.Tree]:
    """Make a hidden folder in `folder`, yield it, and remove it with its content.

    Raises:
        PlanError: nothing can be made there (kind `not-writable`).
    """
    path = f"{folder.rstrip('/')}/{PREFIX}{os.urandom(6).hex()}"
    try:  # an interrupt may come right after the folder was made
        _make(folder, path)
        tree = fs.Tree(path)
        try:
            yield tree
        finally:
            tree.close()
    finally:
        with _signals_ignored():
            _remove(folder, path)


def _make(folder: str, path: str) -> None:
    try:
        fs.make_folder(path)
    except OSError as error:
        raise PlanError(
            f"Nothing can be made in {folder}: {error_text(error)}.",
            kind="not-writable",
            hint="Measure a folder in which you may write: the one that datasets are to be built in.",
            paths=(folder,),
        ) from None


def _remove(folder: str, path: str) -> None:
    above = fs.Tree(folder)
    try:
        with suppress(FileNotFoundError):
            fs.remove_tree(above.fd, os.path.basename(path))
    finally:
        above.close()


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Ignore a second Ctrl-C until the folder is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
