"""Split a detection dataset of medical slices into train, val and test without a leak."""

NO_WINDOWS = (
    "planbalance needs Linux or macOS. On Windows, install and run it in WSL "
    "(https://learn.microsoft.com/windows/wsl/install)."
)


def tool_version() -> str:
    """Return the version of planbalance that runs; "unknown" where it is not installed (a checkout on the path)."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow, and few commands need it

    try:
        return version("planbalance")
    except PackageNotFoundError:
        return "unknown"
