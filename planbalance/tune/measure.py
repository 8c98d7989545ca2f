"""The measurement: what works in a folder, how long calls take there, how many workers raise the rate."""

import os.path
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from planbalance import fs
from planbalance.errors import InputError, UsageError
from planbalance.executor.processes import ProcessPool, available_cores
from planbalance.model import Progress, split_of_word
from planbalance.platform_calls import mount_table
from planbalance.tune.latency import Latency, latencies
from planbalance.tune.names import FileSystem, file_system
from planbalance.tune.probes import Probe, described, probe_all
from planbalance.tune.rates import Rate, rates
from planbalance.tune.scratch import scratch
from planbalance.tune.settings import Settings, settings

# A folder that holds all names of one of these is a dataset.
_DATASET_MARKS: Final = (
    ("images", "labels"),
    ("data.yaml",),
    ("dataset.yaml",),
)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was measured of the file system under a folder.

    Attributes:
        folder: absolute.
        file_system: its name and where it is mounted.
        cores: how many this process may use.
        works: by name: `hardlink`, `symlink`, `reflink`, `copy_file_range`, `o_tmpfile`, `atomic_publish`,
            `fcntl_locks`.
        latency: by call: `create`, `stat`, `link`, `rename`, `unlink`; without those that the file system refuses.
        rates: files made and removed a second, by kind and number of workers.
        settings: what `apply` would use.
    """

    folder: str
    file_system: FileSystem
    cores: int
    works: dict[str, Probe]
    latency: dict[str, Latency]
    rates: tuple[Rate, ...]
    settings: Settings


def tune(folder: str, progress: Progress) -> Tuned:
    """Measure the file system under a folder; nothing is left there, not even after an interruption.

    Raises:
        InputError: there is no such folder (kind `input-not-found`).
        UsageError: it is a dataset or lies in one, where nothing is ever written (kind `inside-data-set`).
        PlanError: nothing can be made there (kind `not-writable`).
    """
    path = os.path.abspath(folder)
    if not os.path.isdir(path):
        raise InputError(f"{folder} is not a folder: name one to measure in.", kind="input-not-found", paths=(path,))
    _refuse_datasets(path)
    cores = available_cores()
    with scratch(path) as tree, ProcessPool(cores) as processes:
        works = probe_all(tree)
        latency = latencies(tree)
        measured = tuple(rates(tree, processes, progress))
    return Tuned(
        folder=path,
        file_system=file_system(fs.real_path(path), mount_table(), fs.file_system_number(path)),
        cores=cores,
        works=works,
        latency=latency,
        rates=measured,
        settings=settings(works, measured, cores),
    )


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
        "works": {
            name: {"ok": probe.works, "reason": probe.reason, "what": described(name)}
            for name, probe in tuned.works.items()
        },
        "latency": {name: latency._asdict() for name, latency in tuned.latency.items()},
        "rates": [rate._asdict() for rate in tuned.rates],
        "settings": tuned.settings._asdict(),
    }


def _refuse_datasets(path: str) -> None:
    for place in _upwards(path):
        inside = os.path.basename(place) in ("images", "labels")
        known = any(all(os.path.exists(f"{place}/{name}") for name in names) for names in _DATASET_MARKS)
        if inside or known or _holds_splits(place):
            raise UsageError(
                f"{path} is a dataset or lies in one: nothing is ever written there.",
                kind="inside-data-set",
                hint="Measure the folder in which new datasets are to be built.",
                paths=(path,),
            )


def _holds_splits(folder: str) -> bool:
    """Answer whether a folder holds `train/images` or the like."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(split_of_word(name) is not None and os.path.exists(f"{folder}/{name}/images") for name in names)


def _upwards(path: str) -> Iterator[str]:
    while path != "/":
        yield path
        path = os.path.dirname(path)
