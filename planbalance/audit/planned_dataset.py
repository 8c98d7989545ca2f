"""Finds the dataset that is to be audited, its plan, and its receipt, which says how it was built."""

import os
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from planbalance import packed_dataset
from planbalance.audit.check_builder import CheckBuilder
from planbalance.audit.check_table import PLAN_CHECK
from planbalance.audit.documents import UnreadableDocumentError, json_value
from planbalance.audit.file_facts import look, read_small
from planbalance.dataset_files import DATASET_YAML, OWN_FOLDER, PLAN, RECEIPT, RECEIPT_SCHEMA
from planbalance.destination import Destinations
from planbalance.errors import InputError, PlanError
from planbalance.import_model import ImportHeader
from planbalance.inputs import not_found
from planbalance.model import SPLITS, Operation, PlanHeader
from planbalance.modes import MODE_TABLE, Mode, ModeTraits, known_mode
from planbalance.packed.entry import PackedError
from planbalance.path_relation import is_within
from planbalance.planstore import PlanFile

Pairs = tuple[tuple[str, str], ...]

# A pair such as (/a, /a/a) could be applied without end.
_MOST_PLACES: Final = 64
_PARTIAL = ".planbalance-partial"
_DEFAULT_PLAN: Final = "plan.json"
_RECEIPT_BYTES = 1 << 20
_REMEMBERED = 1 << 17  # operations, of about 400 bytes


# ---- its receipt: anybody may have changed it, as any file of the dataset --------------------------------------------


class Receipt(NamedTuple):
    """What an audit needs of `.planbalance/receipt.json`.

    Attributes:
        digest: of the plan.
        mode: how images were placed, as really used.
        labels: `copy` or `same`.
        checksum: `sha256` or `none`.
        output: where the dataset was published.
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
    if value.get("schema") != RECEIPT_SCHEMA:
        raise UnreadableDocumentError("is not a receipt")
    mode = known_mode(value.get("mode"))
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
    """Return where a source is now: each (old, new) whose old path is the source or holds it is applied in turn."""
    for old, new in pairs:
        path = _replaced(path, old, new)
    return path


def reachable(path: str, pairs: Pairs) -> set[str]:
    """Return all paths that pairs, in any order, may have made of a source's path, the planned one included.

    A dataset may be relocated several times, and a link that was skipped still leads to the planned path.
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
    return new.rstrip("/") + path[len(old) :] if is_within(path, old) else path


# ---- the dataset with its plan --------------------------------------------------------------------------------------


class RememberedPlan(PlanFile):
    """A plan that keeps blocks that were read and checked, as far as they fit into little memory.

    An audit reads the plan three times: to check it, to look at the slices, and for the metadata.
    """

    def __init__(self, path: str, header: PlanHeader, read: Callable[[int, int], bytes]) -> None:
        super().__init__(path, header, read)
        self._known: dict[int, list[Operation]] = {}
        self._room = _REMEMBERED

    def read_block(self, index: int) -> list[Operation]:
        """Return the operations of one block. Raises as `PlanFile.read_block`."""
        known = self._known.get(index)
        if known is None:
            known = super().read_block(index)
            if len(known) <= self._room:
                self._room -= len(known)
                self._known[index] = known
        return known


class PlannedDataset(NamedTuple):
    """A dataset that has a plan.

    Attributes:
        root: its folder, absolute.
        plan: checked.
        receipt: None where there is none, or none that can be read.
        mode: how images were placed: from the receipt, else as the tree shows.
        inputs: roots of the inputs as links in the tree use them, without a `/` at the end.
        output: where it was published.
    """

    root: str
    plan: PlanFile
    receipt: Receipt | None
    mode: Mode
    inputs: tuple[str, ...]
    output: str

    @property
    def header(self) -> PlanHeader:
        """The plan's header."""
        return self.plan.header

    @property
    def traits(self) -> ModeTraits:
        """What the table of modes says of the mode."""
        return MODE_TABLE[self.mode]

    @property
    def elsewhere(self) -> bool:
        """Whether the dataset lies elsewhere than where it was published."""
        return not same_place(self.root, self.output)

    def absent_inputs(self) -> tuple[str, ...]:
        """Return the inputs that are not on this machine."""
        return tuple(root for root in self.inputs if not os.path.isdir(root or "/"))

    @property
    def same_labels(self) -> bool:
        """Whether labels were placed as the images were."""
        return self.receipt is not None and self.receipt.labels == "same"


def same_place(one: str, other: str) -> bool:
    """Return whether two paths are one folder, through links too."""
    if os.path.normpath(one) == os.path.normpath(other):
        return True
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def find_folder(dataset: str) -> str:
    """Return the absolute path of a dataset that is there: of a folder, or of a yaml file.

    Raises:
        InputError: it is not there, or not published yet (kinds `input-not-found`, `not-published`).
    """
    path = os.path.abspath(dataset)
    folder, name = os.path.split(path)
    if name.startswith(".") and name.endswith(_PARTIAL):
        raise _unpublished(f"{path} is a partial build, not a dataset.", path)
    refuse_unreadable_packed(path)
    found = look(path, follow=True)
    if found.kind in ("folder", "file"):
        return path
    partial = f"{folder}/.{name}{_PARTIAL}"
    if look(partial).kind == "folder":
        raise _unpublished(f"{path} is not published yet: a partial build of it lies in {partial}.", partial)
    if found.kind == "missing":
        raise not_found("Dataset", dataset, path)
    reason = found.error or "neither a folder nor a file"
    raise InputError(
        f"The dataset {path} cannot be read: {reason}.",
        kind="input-not-found",
        hint="Give a folder or a data.yaml.",
        paths=(path,),
    )


def refuse_unreadable_packed(path: str) -> None:
    """Open a path that is a packed dataset, so that what is in it can be read. Raises InputError where it cannot."""
    try:
        packed_dataset.open_dataset(path)
    except PackedError as error:
        raise InputError(
            f"The dataset {path} cannot be read: {error}.",
            kind="packed-unreadable",
            hint="Copy it again if it is cut off or damaged; else mount or unpack it, and give the folder.",
            paths=(path,),
        ) from None


def _unpublished(message: str, path: str) -> InputError:
    return InputError(
        message,
        kind="not-published",
        hint="Run the same apply (or build) again: it resumes, and the dataset appears when it is complete.",
        paths=(path,),
    )


def open_named(dataset: str | None, plan: str | None) -> tuple[str, PlanFile | None]:
    """Return the absolute path of the dataset to audit, and the plan that the caller named, if any.

    Without a dataset it is the output of the plan, of `plan.json` where no plan is named either. Only the first line of
    the plan is checked.

    Raises:
        InputError: as `find_folder`. PlanError: the plan is refused.
    """
    if dataset is not None and plan is None:
        return find_folder(dataset), None
    given = RememberedPlan.open(plan or _DEFAULT_PLAN)
    return find_folder(output_of(given.header) if dataset is None else dataset), given


def output_of(header: PlanHeader | ImportHeader) -> str:
    """Return where a plan was built: its output, or beside it one file with the suffix of a mode."""
    if look(header.output).kind == "missing":
        for traits in MODE_TABLE.values():
            path = header.output + traits.one_file
            if traits.one_file and look(path, follow=True).kind in ("file", "folder"):  # one that is open has files
                return path
    return header.output


def find_planned_dataset(
    path: str, given: PlanFile | None, *, whole: bool = True
) -> tuple[PlannedDataset | None, CheckBuilder]:
    """Return the dataset with its plan, or None where it has none that can be used, and the check of the plan.

    Args:
        path: of a folder or yaml that is there.
        given: the plan that the caller named; it is used even where the dataset carries another.
        whole: check all of the plan that the dataset carries, not only its first line.
    """
    found = CheckBuilder(PLAN_CHECK)
    root = path if look(path, follow=True).kind == "folder" else _folder_of_yaml(path)
    if root is None:
        found.notes.append("the dataset carries no plan")
        return None, found
    plan = given or _embedded_plan(root, found, whole=whole)
    receipt = _receipt(root, found)
    if plan is None:
        return None, found
    if receipt is not None and receipt.digest != plan.header.digest:
        found.error(
            "metadata",
            RECEIPT,
            f"the dataset was built from plan {receipt.digest[:12]}, not {plan.header.digest[:12]}",
        )
    found.count = 1
    found.notes.append(f"plan {plan.header.digest}")
    return _with_plan(root, plan, receipt), found


def _folder_of_yaml(path: str) -> str | None:
    """Return the folder of a yaml that this tool wrote, else None: other yaml files may be in any folder."""
    folder, name = os.path.split(path)
    return folder if name == DATASET_YAML and look(f"{folder}/{OWN_FOLDER}").kind == "folder" else None


def _embedded_plan(root: str, found: CheckBuilder, *, whole: bool) -> PlanFile | None:
    at = f"{root}/{PLAN}"
    facts = look(at)
    if facts.kind == "missing":
        if look(f"{root}/{OWN_FOLDER}").kind == "missing":
            found.notes.append("the dataset carries no plan")
        else:
            found.error("missing", PLAN, "the dataset was built by this tool, and its plan is not there")
        return None
    if facts.kind != "file":
        found.error("metadata", PLAN, f"not a regular file ({facts.error or facts.kind})")
        return None
    try:
        plan = RememberedPlan.open(at)
        if whole:
            plan.check()
    except PlanError as error:
        found.error("metadata", PLAN, error.message)
        return None
    return plan


def _receipt(root: str, found: CheckBuilder) -> Receipt | None:
    facts = read_small(f"{root}/{RECEIPT}", _RECEIPT_BYTES)
    if facts.data is None:
        if look(f"{root}/{OWN_FOLDER}").kind == "folder":
            message = "is not there" if facts.kind == "missing" else facts.error or "is not a regular file"
            found.error("missing", RECEIPT, message)
        return None
    try:
        return parse_receipt(facts.data)
    except UnreadableDocumentError as error:
        found.error("metadata", RECEIPT, str(error))
        return None


def _with_plan(root: str, plan: PlanFile, receipt: Receipt | None) -> PlannedDataset:
    header = plan.header
    pairs = receipt.moved_inputs if receipt is not None else ()
    inputs = tuple(moved(one, pairs).rstrip("/") for one in header.inputs)
    mode = receipt.mode if receipt is not None else _mode_shown(root, plan, inputs)
    return PlannedDataset(
        root, plan, receipt, mode, inputs, receipt.output if receipt and receipt.output else header.output
    )


def _mode_shown(root: str, plan: PlanFile, inputs: Sequence[str]) -> Mode:
    """Return the mode that the first image in the tree shows."""
    header = plan.header
    if packed_dataset.inside(root) is not None:
        return "squashfs"
    if look(f"{root}/images").kind != "folder" and any(look(f"{root}/{split}.txt").kind == "file" for split in SPLITS):
        return "list"
    destinations = Destinations(header.sources, header.parameters["layout"])
    for operation in plan.operations():
        folder, name = destinations.of(operation)
        facts = look(f"{root}/{folder}/{name}")
        if facts.kind == "link":
            return "symlink"
        if facts.kind == "file":
            source = look(f"{inputs[operation.input]}/{operation.image}", follow=True)
            return "hardlink" if (source.device, source.inode) == (facts.device, facts.inode) else "copy"
    return "copy"
