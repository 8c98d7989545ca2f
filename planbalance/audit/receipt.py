"""How a data set was built, as its receipt says: as untrusted as anything else that lies in the folder."""

from typing import Final, NamedTuple, get_args

from planbalance.audit.documents import UnreadableDocumentError, json_value
from planbalance.modes import Mode

Pairs = tuple[tuple[str, str], ...]

# A pair such as (/a, /a/a) leads on for ever.
_MOST_PLACES: Final = 64
_MODES: Final[tuple[Mode, ...]] = get_args(Mode)


class Receipt(NamedTuple):
    """What an audit needs of `.planbalance/receipt.json`.

    Attributes:
        digest: of the plan.
        mode: how images were placed, as really used.
        labels: `copy` or `same`.
        checksum: `sha256` or `none`.
        output: where the data set was published.
        moved_inputs: (old, new) prefixes of input paths that links follow (`--map-input`, `relocate --source`).
    """

    digest: str
    mode: Mode
    labels: str
    checksum: str
    output: str
    moved_inputs: Pairs = ()


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt.

    Raises:
        UnreadableDocumentError: it is not one.
    """
    value = json_value(data)
    if value.get("schema") != "planbalance/receipt/1":
        raise UnreadableDocumentError("is not a receipt")
    mode = next((mode for mode in _MODES if mode == value.get("mode")), None)
    if mode is None:
        raise UnreadableDocumentError("names no mode that is known")
    texts = {key: _text(value.get(key, "")) for key in ("digest", "labels", "checksum", "output")}
    return Receipt(mode=mode, moved_inputs=_moved(value.get("map_input")), **texts)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnreadableDocumentError("is not a receipt of this version")
    return value


def _moved(value: object) -> Pairs:
    if value is None:
        return ()
    pairs = (
        [tuple(pair) for pair in value] if isinstance(value, list) and all(isinstance(p, list) for p in value) else None
    )
    if pairs is None or not all(len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs):
        raise UnreadableDocumentError("holds a map_input that is no list of pairs")
    return tuple((old, new) for old, new in pairs)


def moved(path: str, pairs: Pairs) -> str:
    """Return where a source is read now: every (old, new) that it lies at or below applied in turn."""
    for old, new in pairs:
        path = _replaced(path, old, new)
    return path


def reachable(path: str, pairs: Pairs) -> set[str]:
    """Return all places that a source's path may have come to by pairs in any order, the planned one included.

    A data set may be relocated to and fro, and a link that was passed over still leads where it was planned to.
    """
    places = {path}
    waiting = [path]
    while waiting and len(places) < _MOST_PLACES:
        place = waiting.pop()
        new_places = {_replaced(place, old, new) for old, new in pairs} - places
        places |= new_places
        waiting += new_places
    return places


def _replaced(path: str, old: str, new: str) -> str:
    old = old.rstrip("/")
    return new.rstrip("/") + path[len(old) :] if path == old or path.startswith(old + "/") else path
