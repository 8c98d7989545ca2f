"""What an image looks like, as a search for copies holds it for every slice (`likeness` makes and compares it)."""

from collections.abc import Callable
from typing import NamedTuple


class Fingerprint(NamedTuple):
    """What one picture looks like.

    Attributes:
        pixels: SHA-256 of the pixels, the same in every encoding that keeps them.
        blank: all pixels are one value.
        detail: 64 x 64 signed bytes, the fine structure; empty where there is too little of it.
        strength: grey levels of the strongest value in `detail`.
        faint: it shows little but noise, which a lossy encoding takes away: an altered copy may go unseen.
    """

    pixels: bytes
    blank: bool
    detail: bytes = b""
    strength: float = 0.0
    faint: bool = True


class FingerprintResult(NamedTuple):
    """An image that was decoded, or the reason why it could not be."""

    fingerprint: Fingerprint | None
    reason: str = ""


Fingerprinter = Callable[[bytes, str], FingerprintResult]  # (content, path) -> what it looks like
