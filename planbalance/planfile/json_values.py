"""Take values out of untrusted JSON: each function returns the value, or raises `PlanError` with one sentence."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NoReturn

import orjson

from planbalance.errors import PlanError
from planbalance.text import text_fault

# The largest whole number that every JSON reader (jq, JavaScript) takes exactly; also 8 PiB, above any file here.
LARGEST: Final = 2**53 - 1
DEPTH: Final = 32
EDITED_HINT: Final = "Make it again with `planbalance plan`; `apply --allow-edited` takes a plan edited on purpose."
_HOSTILE_HINT: Final = (
    "Do not build from a plan that you did not make or review; make it again with `planbalance plan`."
)
SHA256: Final = re.compile("[0-9a-f]{64}")


def damaged(reason: str, hint: str = "Make it again with `planbalance plan`.") -> NoReturn:
    """Refuse bytes that are not what a plan's digests and format say."""
    raise PlanError(f"The plan is damaged: {reason}.", kind="plan-damaged", hint=hint)


def malformed(reason: str) -> NoReturn:
    """Refuse a value of another type or shape than the format has."""
    raise PlanError(
        f"The plan does not keep to its schema: {reason}.",
        kind="plan-schema",
        hint="Make it again with `planbalance plan`.",
    )


def hostile(reason: str, paths: Iterable[str] = ()) -> NoReturn:
    """Refuse what could make a build read or write outside of its folders, and what contradicts itself."""
    raise PlanError(f"The plan is refused: {reason}.", kind="plan-hostile", hint=_HOSTILE_HINT, paths=paths)


def shown(value: object) -> str:
    """Return a value from an untrusted plan as it may stand in a message: printable ASCII, and short."""
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:80]}..."


def loads(data: bytes) -> Any:  # noqa: ANN401 - JSON can be anything; the callers check
    """Return parsed JSON."""
    try:
        return orjson.loads(data)
    except (ValueError, RecursionError, MemoryError) as error:
        damaged(f"it is not JSON ({error})")


def object_of(value: object, what: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        malformed(f"{what} is not an object")
    return value


def list_of(value: object, what: str) -> list[Any]:
    """Return a JSON list."""
    if not isinstance(value, list):
        malformed(f"{what} is not a list")
    return value


def text_of(value: object, what: str) -> str:
    """Return a string without control characters and lone surrogates."""
    if not isinstance(value, str):
        malformed(f"{what} is not a string")
    fault = text_fault(value)
    if fault:
        hostile(f"{what}, {shown(value)}, {fault}")
    return value


def count_of(value: object, what: str) -> int:
    """Return a whole number from 0 to `LARGEST`; `true` is none."""
    if type(value) is not int or not 0 <= value <= LARGEST:
        malformed(f"{what}, {shown(value)}, is not a whole number from 0 to {LARGEST}")
    return value


def one_of(value: object, allowed: Collection[Any], what: str) -> Any:  # noqa: ANN401 - one of the allowed values
    """Return one of the allowed values."""
    if not isinstance(value, str | None) or value not in allowed:
        malformed(f"{what}, {shown(value)}, is none of {', '.join(map(str, allowed))}")
    return value


def sha256(value: object, what: str) -> str:
    """Return the hexadecimal SHA-256."""
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        malformed(f"{what} is not a SHA-256 of 64 hexadecimal digits in lower case")
    return value


def exact_members(value: object, names: Sequence[str], what: str) -> dict[str, Any]:
    """Return an object that has these members in this order, and no other."""
    members = object_of(value, what)
    if tuple(members) != tuple(names):
        malformed(f"{what} does not have the members {', '.join(names)}, in this order")
    return members


def plain_json(value: object, what: str, depth: int = 0) -> None:
    """Check JSON values of any form: no control characters, numbers within 64 bits, no deep nesting."""
    if depth > DEPTH:
        malformed(f"{what} is nested deeper than {DEPTH}")
    if isinstance(value, str):
        text_of(value, what)
    elif isinstance(value, dict):
        for key, item in value.items():
            text_of(key, what)
            plain_json(item, what, depth + 1)
    elif isinstance(value, list):
        for item in value:
            plain_json(item, what, depth + 1)
    elif isinstance(value, int | float) and not -(2**63) <= value < 2**64:  # infinity, or more than JSON readers take
        malformed(f"{what} holds a number that is too large")


def same(found: object, expected: object) -> bool:
    """Return whether two JSON values are equal and of one type: `true` is not 1."""
    if isinstance(expected, dict):
        if not isinstance(found, dict) or len(found) != len(expected):
            return False
        return all(key in found and same(found[key], value) for key, value in expected.items())
    return type(found) is type(expected) and found == expected
