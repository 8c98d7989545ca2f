"""Join annotations with images: one fate for each annotation, one state for each slice, and the texts of the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from planbalance.annotations.classes import ClassMap
from planbalance.annotations.source import AnnotationSource
from planbalance.import_model import Fate, RawVolume, State


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinOptions:
    """What decides which annotations count, and which slices were looked at.

    Attributes:
        readers: only annotations of these readers count (`--reader`); empty: not said.
        label_groups: only annotations of these label groups count (`--label-group`); empty: not said.
        all_readers: annotations of all readers and label groups count (`--readers all`).
        reviewed: `auto`: as the format says (`Format.reviewed`); `volume`: every slice of a volume with an annotation
            that counts; `slice`: only slices with one; `all`: every slice; or the lines of a file that names volumes
            and images (`review_lines`).
        doubtful: whether doubtful slices are left out (`skip`) or refused (`error`).
    """

    readers: tuple[str, ...] = ()
    label_groups: tuple[str, ...] = ()
    all_readers: bool = False
    reviewed: Literal["auto", "volume", "slice", "all"] | tuple[str, ...] = "auto"
    doubtful: Literal["skip", "error"] = "skip"


class LedgerRow(NamedTuple):
    """What became of one annotation.

    Attributes:
        source: the name of its source.
        number: its place in its source, from 1.
        where: what finds it again for a person, such as `line 17`.
        image: the image that it names: path of its file, and after `#` its slice where the file has several; where no
            image was found, what the annotation names.
        label: its label.
        class_name: the class that this label becomes; "" where it is not wanted.
        reader: who made it.
        fate: what became of it.
        reason: why, in a few words; "" where the fate says it all.
    """

    source: str
    number: int
    where: str
    image: str
    label: str
    class_name: str
    reader: str
    fate: Fate
    reason: str


class FrameOutcome(NamedTuple):
    """What is known of one slice.

    Attributes:
        state: only positive and negative slices are written.
        label: the text of its label file; "" for a slice that is not positive.
        reasons: why it is doubtful, without repetitions.
    """

    state: State
    label: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The annotations of one source, joined with its volumes.

    Attributes:
        source: its name.
        class_names: by id.
        frames: for each volume, in the order in which they were given, and for each of its frames.
        ledger: one row for each annotation, in their order.
        fates: how many annotations have each fate; all fates, in their order of precedence. They sum to the
            annotations.
        examples: for each fate that occurs, its first three rows.
        not_written: how many annotations that are used or clipped are on doubtful slices, which are not written.
        states: how many slices have each state; all states.
        reviewed: names of the volumes of which every slice was looked at.
        partly_reviewed: names of the volumes of which only some slices were looked at.
        unreviewed: names of the volumes of which no slice was.
        absent: what was reviewed and is not among the volumes, as the source names it, in its order.
        patients: for each volume, who it is of, as the annotation files say; "" where they do not.
        warnings: what people should know, a sentence each.
    """

    source: str
    class_names: tuple[str, ...]
    frames: tuple[tuple[FrameOutcome, ...], ...]
    ledger: tuple[LedgerRow, ...]
    fates: Mapping[Fate, int]
    examples: Mapping[Fate, tuple[LedgerRow, ...]]
    not_written: int
    states: Mapping[State, int]
    reviewed: tuple[str, ...]
    partly_reviewed: tuple[str, ...]
    unreviewed: tuple[str, ...]
    absent: tuple[str, ...]
    patients: tuple[str, ...]
    warnings: tuple[str, ...]


def join(
    source: AnnotationSource,
    volumes: Sequence[RawVolume],
    classes: ClassMap,
    options: JoinOptions,
    *,
    name: str = "",
) -> Joined:
    """Return the fate of each annotation and the state of each slice.

    Args:
        source: what the annotation files say.
        volumes: the images.
        classes: which labels are wanted.
        options: which annotations count, and which slices were looked at.
        name: of the source, for messages and the ledger.

    Raises:
        InputError: several readers or label groups carry wanted labels and none was chosen (kind `several-readers`,
            `several-label-groups`); one that was chosen does not exist (kind `unknown-reader`); an annotation fits
            several images, or two names mean one image (kind `ambiguous-image`); frames are numbered from an unknown
            base (kind `frame-base`); the files do not say what was reviewed (kind `reviewed-unknown`); a slice is
            doubtful and that is refused (kind `doubtful-slices`); a volume has two patients (kind `two-patients`).
    """
    raise NotImplementedError


def require_boxes(joined: Sequence[Joined]) -> None:
    """Check that at least one slice of all sources is positive.

    Raises:
        InputError: none is (kind `no-usable-box`); the message names the most common fates.
    """
    raise NotImplementedError


def ledger_csv(joined: Sequence[Joined]) -> str:
    """Return `import_ledger.csv`: a line for each annotation of all sources, with its fate and reason."""
    raise NotImplementedError


def review_lines(data: bytes, name: str) -> tuple[str, ...]:
    """Return the lines of a file that names reviewed volumes or images, without blank ones and those that begin with #.

    Raises:
        InputError: it is no text, or empty (kind `bad-annotations`).
    """
    raise NotImplementedError
