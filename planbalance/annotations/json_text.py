"""JSON files that may not be trusted: what they hold is asked for by type, and anything else is a fault of its row."""

import json
from typing import Any, Final

import orjson

from planbalance.annotations.nearest_format import other_format
from planbalance.annotations.source import SourceFile, refused
from planbalance.annotations.tables import check_size
from planbalance.import_model import FormatName

_BOM: Final = b"\xef\xbb\xbf"


def parse_json(file: SourceFile, name: FormatName, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the object of a file of this format.

    Args:
        file: the file.
        name: of the format.
        keys: what the object must have, each a list.

    Raises:
        InputError: it is too large or nested too deep (kind `bad-annotations`), or not of this format (kind
            `other-format`; the nearest format is named).
    """
    check_size(file)
    document = _parsed(file, name)
    if not isinstance(document, dict):
        raise other_format(file.name, file.data, name, "it is no JSON object")
    for key in keys:
        if not isinstance(document.get(key), list):
            raise other_format(file.name, file.data, name, f"it has no list {key!r}")
    return document


def _parsed(file: SourceFile, name: FormatName) -> object:
    data = file.data.removeprefix(_BOM)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass  # perhaps only because of NaN, which Python's json writes
    try:
        return json.loads(data.decode())
    except RecursionError:
        raise refused(file.name, "is nested too deep") from None
    except ValueError as error:
        raise other_format(file.name, file.data, name, f"it is not JSON: {str(error)[:100]}") from None


def objects(values: object) -> list[dict[str, Any]]:
    """Return the objects of a list; what is no object is an empty one, so that places stay as they are."""
    return [one if isinstance(one, dict) else {} for one in values] if isinstance(values, list) else []
