"""The command line: parse, call the api, print, exit code. Nothing else.

An entry point imports this module before signals are handled, so it imports nothing at its top.
"""


def main() -> None:
    """Run the program and exit."""
    import gc
    import signal
    import sys

    if sys.platform == "win32":
        from planbalance import NO_WINDOWS

        sys.stderr.write(f"Error: {NO_WINDOWS}\n")
        sys.exit(2)
    # Imported modules stay in memory; collecting them again and again would take a fifth of the start-up time.
    gc.set_threshold(100_000)
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    handled = {number for number, handler in defaults.items() if signal.getsignal(number) is handler}  # nohup's are not
    for number in handled:
        signal.signal(number, _leave)
    from planbalance.cli.program import cli

    try:
        if signal.SIGINT in handled:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()
    except KeyboardInterrupt:  # before or after the time in which the program handles it
        sys.exit(130)


def _leave(_signal: int, _frame: object) -> None:
    """Leave with exit code 130: modules are being imported, and no work has begun.

    An exception would be printed with a traceback, or caught by a module that guards its own imports.
    """
    import os

    os._exit(130)
