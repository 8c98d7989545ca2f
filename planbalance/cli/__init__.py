"""The command line: parse, call the api, print, exit code. Nothing else.

This module is what an entry point reads before anything is watched, so it reads nothing itself.
"""


def main() -> None:
    """Run the program and exit."""
    import gc
    import signal
    import sys

    gc.set_threshold(100_000)  # what modules are made of stays: to look through it over and over is a fifth of a start
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = {number for number, handler in usual.items() if signal.getsignal(number) is handler}  # nohup's stay ignored
    for number in ours:
        signal.signal(number, _leave)
    from planbalance.cli.program import cli

    try:
        if signal.SIGINT in ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()
    except KeyboardInterrupt:  # before the program watches for it, or after
        sys.exit(130)


def _leave(_signal: int, _frame: object) -> None:
    """Leave with exit code 130: modules are being read, and nothing has begun.

    An exception would be told with a traceback, or swallowed by a module that guards its own imports.
    """
    import os

    os._exit(130)
