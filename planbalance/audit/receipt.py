"""How a data set was built, as its receipt says: as untrusted as anything else that lies in the folder."""

from dataclasses import dataclass
from typing import Final, get_args

from planbalance.audit.documents import UnreadableDocumentError, json_value
from planbalance.model import Mode

_MODES: Final[tuple[Mode, ...]] = get_args(Mode)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an audit needs of `.planbalance/receipt.json`.

    Attributes:
        digest: of the plan.
        mode: how images were placed.
        labels: `copy` or `same`.
        checksum: `sha256` or `none`.
        fallback: `none`, or `copy`: images may be copies after all.
        output: where the data set was published.
        moved_inputs: (old, new) prefixes of input paths that links follow (`--map-input`, `relocate --source`).
    """

    digest: str
    mode: Mode
    labels: str
    checksum: str
    fallback: str
    output: str
    moved_inputs: tuple[tuple[str, str], ...] = ()


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
    texts = {key: _text(value.get(key, "")) for key in ("digest", "labels", "checksum", "fallback", "output")}
    return Receipt(mode=mode, moved_inputs=_moved(value.get("map_input")), **texts)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnreadableDocumentError("is not a receipt of this version")
    return value


def _moved(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    pairs = (
        [tuple(pair) for pair in value] if isinstance(value, list) and all(isinstance(p, list) for p in value) else None
    )
    if pairs is None or not all(len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs):
        raise UnreadableDocumentError("holds a map_input that is no list of pairs")
    return tuple((old, new) for old, new in pairs)


def moved(root: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """Return an input's root with the first prefix that fits replaced."""
    for old, new in pairs:
        if root == old or root.startswith(old.rstrip("/") + "/"):
            return new.rstrip("/") + root[len(old.rstrip("/")) :]
    return root
