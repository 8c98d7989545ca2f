"""What an image looks like, as an audit holds it; and who makes that of its bytes, where the extra is installed."""

from collections.abc import Callable
from typing import NamedTuple

from planbalance.decode import NoPictureError, decode
from planbalance.errors import UsageError


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


def fingerprinter() -> Fingerprinter:
    """Return what tells how an image looks.

    Raises:
        UsageError: numpy is not installed.
    """
    try:
        from planbalance.audit.near_duplicates import fingerprint_of  # noqa: PLC0415 - needs an extra
    except ImportError:
        raise UsageError(
            "--near-duplicates needs numpy, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[near-duplicates]'",
        ) from None

    def look(data: bytes, path: str) -> FingerprintResult:
        try:
            return FingerprintResult(fingerprint_of(decode(data, dicom=path.lower().endswith(".dcm"))))
        except NoPictureError as error:
            return FingerprintResult(None, str(error))

    return look
