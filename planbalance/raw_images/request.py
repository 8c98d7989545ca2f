"""What a caller asks of raw images: which files, which planes of them, and the window. Pure."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from planbalance.errors import UsageError

Kind = Literal["picture", "dicom", "nifti", "h5"]

DEFAULT_WINDOW: Final = "percentile:0.5,99.5"
DEFAULT_DATASET: Final = "reconstruction_rss"
FLIPS: Final = ("up-down", "left-right")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """How the images of one source are read. All fields are plain values, so that a plan can hold them.

    Attributes:
        kinds: the kinds of files that are read; empty: all.
        volume_pattern: how the names of pictures are read: `auto`, a rule of `planbalance.naming` or a regular
            expression.
        window: `percentile:LOW,HIGH` (in percent), `minmax`, `voi` or `fixed:LOW,HIGH` (in values after rescale).
        h5_dataset: the dataset of an .h5 file that holds the slices (slices, rows, columns).
        axis: the axis of a NIfTI file, from 0, along which the slices lie; None: the last one.
        time: the time point of a NIfTI file of four dimensions, from 0; None: only one is allowed.
        transpose: rows and columns of NIfTI and .h5 slices are exchanged, before they are flipped.
        flip: how NIfTI and .h5 slices are flipped: words of `FLIPS`.
        stored_zero: the stored value of a 16-bit picture that stands for 0 (DeepLesion: 32768 stands for 0 HU); None:
            the values are taken as they are, and have no unit.
    """

    kinds: tuple[Kind, ...] = ()
    volume_pattern: str = "auto"
    window: str = DEFAULT_WINDOW
    h5_dataset: str = DEFAULT_DATASET
    axis: int | None = None
    time: int | None = None
    transpose: bool = False
    flip: tuple[str, ...] = ()
    stored_zero: int | None = None


class WindowRule(NamedTuple):
    """How the window of a volume is chosen.

    Attributes:
        rule: the word before the colon of `ImageOptions.window`.
        low: of `percentile`, a share of 1; of `fixed`, a value; else 0.
        high: likewise.
    """

    rule: Literal["percentile", "minmax", "voi", "fixed"]
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)


def window_rule(text: str) -> WindowRule:
    """Return the rule that `ImageOptions.window` names.

    Raises:
        UsageError: there is no such rule, or its two numbers are not in order (kind `bad-window`).
    """
    word, _, rest = text.partition(":")
    if word in ("minmax", "voi") and word == text:
        return WindowRule("minmax" if word == "minmax" else "voi")
    numbers = [Fraction(part) for part in rest.split(",") if _NUMBER.fullmatch(part)]
    if word in ("percentile", "fixed") and len(numbers) == rest.count(",") + 1 == 2 and numbers[0] < numbers[1]:
        low, high = numbers
        if word == "fixed":
            return WindowRule("fixed", low, high)
        if low >= 0 and high <= 100:
            return WindowRule("percentile", low / 100, high / 100)
    raise UsageError(
        f"The window {text!r} is none of percentile:LOW,HIGH (0 to 100), minmax, voi and fixed:LOW,HIGH, with LOW "
        "below HIGH.",
        kind="bad-window",
        hint=f"The default is --window {DEFAULT_WINDOW}.",
    )


def check_options(options: ImageOptions) -> None:
    """Refuse options that no file can satisfy.

    Raises:
        UsageError: the window (kind `bad-window`), or the axis, time or flip (kind `bad-geometry`).
    """
    window_rule(options.window)
    if options.axis not in (None, 0, 1, 2):
        raise UsageError(f"The axis {options.axis} is none of 0, 1 and 2.", kind="bad-geometry")
    if options.time is not None and options.time < 0:
        raise UsageError(f"The time point {options.time} is below 0: time points count from 0.", kind="bad-geometry")
    unknown = [word for word in options.flip if word not in FLIPS]
    if unknown:
        raise UsageError(f"The flip {unknown[0]!r} is none of {' and '.join(FLIPS)}.", kind="bad-geometry")
