"""Fingerprints of pictures, small enough to hold one for every slice, and how alike two pictures are.

Perceptual hashes report far too many medical slices as duplicates: they keep few frequencies, at which all knees look
alike, and of a dark slice they keep rounding errors. So a picture is reduced to 64 x 64 pixels, and the fingerprint is
its structure of 4 to 32 of these pixels, with its strength. There the anatomy of two people differs, and a copy agrees,
whatever its brightness, encoding or size. Figures are in benchmarks/README.md. This module needs numpy (extra
`near-duplicates`), so it is imported only where pictures are compared.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from planbalance.decode import Decoded, NoPictureError, decode, is_one_value, quiet_decoders
from planbalance.fingerprint import Fingerprint, FingerprintResult

Floats = NDArray[np.float32]
Levels = NDArray[np.int8]

SIDE: Final = 64  # pixels of the reduced picture
TILE: Final = 8  # the picture is judged in 8 x 8 tiles, so that one bright spot or a burned-in text cannot decide
_BLUR: Final = 2  # the structure is what a blur of 5 x 5 pixels takes away
_FAINT: Final = 2.0  # grey levels (of 255): noise of a reduced slice; fainter structure counts for less
_LEAST_TILES: Final = 3.0  # a picture with less structure than that is not compared: black but for a spot
_SURE: Final = 0.95  # no shift needs to be tried
# Product of two signatures from which a pair is compared in detail: copies reach 0.95, two people 0.85 in 3 of 100,000.
NEAR: Final = 0.87
_LEVELS: Final = 127
_FREQUENCIES: Final = 20
LENGTH: Final = _FREQUENCIES**2  # numbers of a signature


class LikenessRule(NamedTuple):
    """When two pictures are alike.

    Attributes:
        faint: grey levels; a tile with less structure counts for less.
        tiles: how many tiles must show something in both.
        least: the correlation from which they are alike.
        noise: for two pictures with little but noise.
    """

    faint: float
    tiles: float
    least: float
    noise: bool = False


# Anatomy decides; where few tiles show any, they must agree better. The noise of two scans never agrees.
_RULES: Final = (
    LikenessRule(_FAINT, 8.0, 0.75),
    LikenessRule(_FAINT, _LEAST_TILES, 0.88),
    LikenessRule(0.5, 10.0, 0.4, noise=True),
)


def fingerprint_of_file(data: bytes, path: str) -> FingerprintResult:
    """Return what the image in a file looks like, or why it cannot be decoded.

    Args:
        data: the content of the file.
        path: of the file; its suffix tells whether it is DICOM.
    """
    try:
        return FingerprintResult(fingerprint_of(decode(data, dicom=path.lower().endswith(".dcm"))))
    except NoPictureError as error:
        return FingerprintResult(None, str(error))


@np.errstate(invalid="ignore", over="ignore")  # pixels of a TIFF may be infinite or no number
@quiet_decoders
def fingerprint_of(decoded: Decoded) -> Fingerprint:
    """Return what a picture looks like."""
    image = _plain(decoded.image)
    digest = hashlib.sha256(f"{image.mode} {image.size} ".encode())
    digest.update(image.tobytes())
    if is_one_value(image):
        return Fingerprint(digest.digest(), blank=True)
    grey = image if image.mode in {"L", "I", "F"} else image.convert("L")
    small = grey.convert("F").resize((SIDE, SIDE), Image.Resampling.BOX)
    reduced = np.asarray(small, dtype=np.float32)
    if grey.mode != "L":
        reduced = _as_eight_bits(reduced)
    detail = reduced - _blurred(reduced)
    strength = float(np.abs(detail).max())
    energies = _in_tiles(detail * detail)
    if not np.isfinite(strength) or not any(_tiles(energies, rule) >= rule.tiles for rule in _RULES):
        return Fingerprint(digest.digest(), blank=False)
    levels = np.rint(detail * (_LEVELS / strength)).astype(np.int8)
    faint = np.count_nonzero(energies > _FAINT * _FAINT * TILE * TILE) < _LEAST_TILES
    return Fingerprint(digest.digest(), blank=False, detail=levels.tobytes(), strength=strength, faint=bool(faint))


def _plain(image: Image.Image) -> Image.Image:
    """Return an image in the form that its pixels have in every encoding: grey where all its colours are grey."""
    if image.mode in {"L", "F"}:
        return image
    if image.mode.startswith("I"):
        wide = image.convert("I")
        low, high = cast("tuple[int, int]", wide.getextrema())
        return wide if low < 0 or high > 255 else wide.convert("L")
    if image.mode == "1":
        return image.convert("L")
    colours = image.convert("RGBA")
    red, green, blue, alpha = colours.split()
    if alpha.getextrema() != (255, 255):
        return colours
    if red.tobytes() == green.tobytes() == blue.tobytes():
        return red
    return colours.convert("RGB")


def _as_eight_bits(pixels: Floats) -> Floats:
    """Return values of any range as grey levels up to 255: the brightest thousandth is left out of the scale."""
    low, high = np.quantile(pixels, (0.0, 0.999))
    return (pixels - low) * (255 / (high - low)) if high > low else pixels * 0


def _blurred(pixels: Floats) -> Floats:
    """Return the mean of the 5 x 5 pixels around each pixel; pixels of the edge are repeated outside."""
    width = 2 * _BLUR + 1
    for axis in (0, 1):
        around = [(_BLUR, _BLUR) if each == axis else (0, 0) for each in (0, 1)]
        padded = np.pad(pixels, around, mode="edge")
        pixels = np.lib.stride_tricks.sliding_window_view(padded, width, axis=axis).mean(axis=-1, dtype=np.float32)
    return pixels


def _in_tiles(pixels: Floats) -> Floats:
    """Return the sum of every tile: (64, 64) gives (8, 8)."""
    tiles = SIDE // TILE
    sums: Floats = pixels.reshape(tiles, TILE, tiles, TILE).sum(axis=(1, 3))
    return sums


def _tiles(energies: Floats, rule: LikenessRule) -> float:
    """Return how many tiles of a picture show something, a faint one counting for less than one."""
    return float((energies / (energies + np.float32(rule.faint * rule.faint * TILE * TILE))).sum())


# ---- two pictures ----------------------------------------------------------------------------------------------------


def details_of(prints: Iterable[Fingerprint]) -> Levels:
    """Return the fine structure of pictures that have one: (pictures, 64, 64) signed bytes."""
    return np.frombuffer(b"".join(each.detail for each in prints), dtype=np.int8).reshape(-1, SIDE, SIDE)


def signatures(details: Levels) -> Floats:
    """Return unit vectors whose product is near 1 for pictures that may be alike: the low frequencies of the structure.

    (pictures, 64, 64) signed bytes give (pictures, 400) floats: a discrete cosine transform, cut off.
    """
    waves = _waves()
    vectors: Floats = (waves @ details.astype(np.float32) @ waves.T).reshape(len(details), LENGTH)
    lengths = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    vectors /= np.maximum(lengths, np.float32(1e-6))
    return vectors


@cache
def _waves() -> Floats:
    places = 2 * np.arange(SIDE) + 1
    waves: Floats = np.cos(np.pi / (2 * SIDE) * np.outer(np.arange(_FREQUENCIES), places)).astype(np.float32)
    return waves


def likeness(one: Fingerprint, other: Fingerprint) -> float:
    """Return how alike two pictures are, up to 1 for a copy; 0 where they are not, or cannot be told apart from others.

    The structure is correlated tile by tile at the best shift of up to one reduced pixel (a 64th of the picture), in
    half steps. Each tile is weighted by the inverse of its contrast, so that one bright spot does not decide.
    """
    rules = [rule for rule in _RULES if (one.faint and other.faint) or not rule.noise]
    left, right = _levels(one), _levels(other)
    same_place = _agreed(rules, left, right)
    return same_place if same_place >= _SURE else max(same_place, _agreed(rules, left, _best_shift(left, right)))


def _agreed(rules: Iterable[LikenessRule], left: Floats, right: Floats) -> float:
    """Return the highest likeness that a rule gives; 0 where no rule is satisfied."""
    products, own, others = (_in_tiles(each) for each in (left * right, left * left, right * right))
    return max(_by_rule(rule, products, own, others) for rule in rules)


def _by_rule(rule: LikenessRule, products: Floats, own: Floats, others: Floats) -> float:
    weights = 1 / (np.maximum(own, others) + np.float32(rule.faint * rule.faint * TILE * TILE))
    most = float(np.sqrt((own * weights).sum() * (others * weights).sum()))
    score = min(1.0, float((products * weights).sum()) / max(most, 1e-9))
    return score if score >= rule.least and _tiles(np.minimum(own, others), rule) >= rule.tiles else 0.0


def _levels(picture: Fingerprint) -> Floats:
    levels = np.frombuffer(picture.detail, dtype=np.int8).reshape(SIDE, SIDE)
    return levels.astype(np.float32) * np.float32(picture.strength / _LEVELS)


def _best_shift(left: Floats, right: Floats) -> Floats:
    """Return the right picture shifted by -1 to 1 pixel in half steps along both sides, so that it agrees best."""
    shifted = np.stack([moved for row in _half_steps(right, 0) for moved in _half_steps(row, 1)])
    flat = shifted.reshape(len(shifted), -1)
    agreement = flat @ left.ravel() / np.sqrt(np.maximum((flat * flat).sum(axis=1), np.float32(1e-9)))
    best: Floats = shifted[int(agreement.argmax())]
    return best


def _half_steps(pixels: Floats, axis: int) -> list[Floats]:
    back, forth = np.roll(pixels, -1, axis), np.roll(pixels, 1, axis)
    half = np.float32(0.5)
    return [back, (back + pixels) * half, pixels, (pixels + forth) * half, forth]
