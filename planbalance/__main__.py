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
    """Run the exit handlers and end the process at once: the interpreter's own shutdown takes 5 ms and more.

    It returns where a stream cannot be written any more, so that Python reports that.
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
