"""The program as a process of its own: what the installed script calls, and `python -m planbalance`."""

import atexit
import os
import sys
import threading

from planbalance.cli import main as run


def main() -> None:
    """Run the program and exit."""
    try:
        run()
    except SystemExit as leaving:
        if isinstance(leaving.code, int) and threading.active_count() == 1:
            _end(leaving.code)
        raise


def _end(code: int) -> None:
    """Do what is registered for the end, and end: to take the interpreter apart object by object takes 5 ms and more.

    Returns where a stream takes no more: Python tells it.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - as multiprocessing does where it ends a process
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


if __name__ == "__main__":
    main()
