"""The measurement as JSON values."""

from typing import Any

from planbalance.tune.story import Tuned


def document_of(tuned: Tuned) -> dict[str, Any]:
    """Return the measurement as JSON values: seconds are seconds, rates are a second."""
    named = tuned.file_system
    return {
        "folder": tuned.folder,
        "file_system": {
            "name": named.name,
            "type": named.kind or None,
            "mount_point": named.mount_point or None,
            "statfs_type": None if named.number is None else f"0x{named.number & 0xFFFFFFFF:x}",
        },
        "cores": tuned.cores,
        "works": {name: {"ok": probe.works, "reason": probe.reason} for name, probe in tuned.works.items()},
        "latency": {name: latency._asdict() for name, latency in tuned.latency.items()},
        "rates": [rate._asdict() for rate in tuned.rates],
        "settings": tuned.settings._asdict(),
    }
