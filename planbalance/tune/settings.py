"""What `apply` would do here: its own autoscaler, simulated with the measured rates. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from planbalance.executor.autoscaler import Autoscaler, FinishedBatch, Kind
from planbalance.modes import MODE_TABLE, Mode
from planbalance.platform_calls import C_LIBRARY
from planbalance.tune.probes import Probe
from planbalance.tune.rates import Rate

_SECONDS: Final = 15.0  # of the simulated run
# Folders of their own must be so many times as fast before a folder for each volume is advised.
_FASTER_BY: Final = 1.5


class Settings(NamedTuple):
    """What `apply` would use.

    Attributes:
        kind: of its workers, once their number no longer changes.
        workers: how many, `--jobs auto`.
        modes: those that work here, with a source on the same file system.
        copy: how bytes of large images are copied: `reflink` (blocks are shared), else `copy_file_range` inside the
            kernel, else `sendfile` or `read and write`.
        publish: `renameat2` (on macOS `renamex_np`), which never replaces an existing name, else `rename`.
        layout: `by-volume` where folders of their own make files faster, else `keep`.
        one_file: whether `--mode squashfs` builds faster there than a folder: each file that is made waits for a
            server, and an image is one file.
    """

    kind: Kind
    workers: int
    modes: tuple[str, ...]
    copy: str
    publish: str
    layout: str
    one_file: bool = False


def settings(works: Mapping[str, Probe], rates: Sequence[Rate], cores: int) -> Settings:
    """Return what `apply` would use on a file system that was measured."""
    kind, workers = _settled(rates, cores)
    return Settings(
        kind=kind,
        workers=workers,
        modes=tuple(
            mode
            for mode, traits in MODE_TABLE.items()
            if traits.places_files and not traits.one_file and _works(mode, works)
        ),
        copy=next((way for way in ("reflink", "copy_file_range") if works[way].works), "sendfile, or read and write"),
        publish=C_LIBRARY.rename_new_call if works["atomic_publish"].works else "rename",
        layout=_layout(rates, kind),
        one_file=kind == "threads",  # the autoscaler changes to threads where calls wait
    )


def _works(mode: Mode, works: Mapping[str, Probe]) -> bool:
    return not MODE_TABLE[mode].may_be_refused or works[mode].works


def _settled(rates: Sequence[Rate], cores: int) -> tuple[Kind, int]:
    """Return the workers that the autoscaler of `apply` would end with on a file system with these rates."""
    processes = max((each.workers for each in rates if each.kind == "processes"), default=0)
    scaler = Autoscaler(cores, processes, None)
    now = 0.0
    while now < _SECONDS:
        rate = _rate(rates, scaler.kind, scaler.workers)
        elapsed = scaler.batch / rate.per_second
        now += elapsed
        taken = elapsed * scaler.workers
        scaler.observe(FinishedBatch(now, scaler.batch, taken, taken * rate.busy))
    return scaler.kind, scaler.workers


def _rate(rates: Sequence[Rate], kind: Kind, workers: int) -> Rate:
    """Return the point nearest to so many workers, each with a folder of its own."""
    known = [each for each in rates if each.where == "own" and each.per_second > 0]
    return min(known, key=lambda each: (each.kind != kind, abs(each.workers - workers)))


def _layout(rates: Sequence[Rate], kind: Kind) -> str:
    best = {
        where: max((each.per_second for each in rates if each.kind == kind and each.where == where), default=0.0)
        for where in ("own", "one")
    }
    return "by-volume" if best["own"] > _FASTER_BY * best["one"] else "keep"
