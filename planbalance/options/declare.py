"""How an option is declared: as a field of a frozen dataclass, with its help beside its default."""

from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from typing import Any, Final, Literal

ADVANCED: Final = "Advanced"

# How a text on the command line is read, where the field's type alone does not decide it.
Value = Literal["path", "folder", "jobs", "pair", "label pair", "rule", "sources", "splits", "several splits"]


def option(
    default: object,
    about: str,
    *,
    heading: str = "Options",
    metavar: str | None = None,
    value: Value | None = None,
    flag: str | None = None,
    most: int | None = None,
) -> Any:  # noqa: ANN401 - as `dataclasses.field`
    """Declare an option; a field that is declared without it is for the Python API alone.

    Args:
        default: its value where the user gives none; the help shows it, unless it is None, False or empty. True makes a
            pair of options, `--name` and `--no-name`.
        about: its help text.
        heading: the part of the help where it is listed.
        metavar: the placeholder of its value in the help.
        value: how its text is read; None: by the type of the field.
        flag: its name on the command line; None: the name of the field, with dashes.
        most: the largest number; the least one then is 0.
    """
    told = {"about": about, "heading": heading, "metavar": metavar, "value": value, "flag": flag, "most": most}
    return field(default=default, metadata=told)


def spelled(name: str) -> str:
    """Return how the command line writes the name of a field: `--train-ratio`."""
    return f"--{name.replace('_', '-')}"


def shared(request: object, choices: type) -> dict[str, Any]:
    """Return the values that a request has of the fields of `choices`, which it shares with a package's options."""
    return {each.name: getattr(request, each.name) for each in fields(choices)}


def made(kind: Any, given: object, keywords: Mapping[str, Any], names: Iterable[str] | None = None) -> Any:  # noqa: ANN401 - of the kind
    """Return the request that a caller gave as an object, as keywords, or as an object and keywords that change it.

    Args:
        kind: the class of the request.
        given: an object of it, or None.
        keywords: by name of field; None stands for the default.
        names: the fields that may be given as keywords; None: all.

    Raises:
        TypeError: a keyword is no field.
    """
    known = {each.name for each in fields(kind)} if names is None else set(names)
    unknown = sorted(set(keywords) - known)
    if unknown:
        raise TypeError(f"unknown keyword: {', '.join(unknown)}")
    keywords = {name: value for name, value in keywords.items() if value is not None}
    if given is None:
        return kind(**keywords)
    return replace(given, **keywords) if keywords else given  # type: ignore[type-var]
