"""What a plan needs to know of pixels: the window of a volume, and a digest of each of its slices."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from planbalance.errors import InputError
from planbalance.executor.autoscaler import LIMITS
from planbalance.executor.processes import ProcessPool, process_count
from planbalance.import_model import RawVolume, Window
from planbalance.model import Progress, Silent
from planbalance.raw_images.grey import Plane
from planbalance.raw_images.planes import planes_of
from planbalance.raw_images.render import pixel_digest, rendered
from planbalance.raw_images.request import ImageOptions, WindowRule, window_rule
from planbalance.raw_images.windows import stated_window, window_of

_KEPT: Final = 1 << 30  # pixels of a volume that stay in memory between its window and its digests; larger ones are
# read again
_WORTH_FORKING: Final = 512  # slices; each takes about a millisecond


class VolumeFacts(NamedTuple):
    """What the pixels of a volume say.

    Attributes:
        window: what becomes black and white in all its slices; None where slices have 8 bits or colours, which are
            taken as they are.
        digests: `pixel_digest` of each frame as `render` returns it, in the order of `RawVolume.frames`.
    """

    window: Window | None
    digests: tuple[str, ...]


def read_volume_facts(root: str, volume: RawVolume, options: ImageOptions) -> VolumeFacts:
    """Return the window of a volume and the digests of its slices; its files are read once.

    Raises:
        InputError: a file cannot be read (kind `unreadable-image`), or `voi` is asked for and no file has a window
            (kind `no-window`).
        UsageError: a library is not installed (kind `extra-missing`), or the window (kind `bad-window`).
    """
    rule = window_rule(options.window)
    if rule.rule == "fixed":
        fixed = Window(float(rule.low), float(rule.high))
        return _facts(planes_of(root, volume, volume.frames, options), fixed)
    windows: list[Window] = []
    planes = planes_of(root, volume, volume.frames, options, windows=windows)
    first = next(planes, None)
    if first is None or first.coding is None:
        return _facts(chain(() if first is None else (first,), planes), None)
    kept = _Kept(chain((first,), planes), root, volume, options)
    window = _stated(volume, windows, kept) if rule.rule == "voi" else _computed(kept, rule)
    return _facts(kept.again(), window)


def _facts(planes: Iterable[Plane], window: Window | None) -> VolumeFacts:
    coded, digests = False, []
    for plane in planes:
        coded = coded or plane.coding is not None
        digests.append(pixel_digest(*rendered(plane, window)))
    return VolumeFacts(window if coded else None, tuple(digests))


class _Kept:
    """The planes of a volume, which stay in memory once they are read, unless they are too large."""

    def __init__(self, planes: Iterator[Plane], root: str, volume: RawVolume, options: ImageOptions) -> None:
        self._first: Iterator[Plane] | None = planes
        self._source = root, volume, volume.frames, options
        self._kept: list[Plane] = []
        self._bytes = 0

    def again(self) -> Iterator[Plane]:
        """Yield all planes; a call must be read to its end before the next."""
        if self._first is not None:
            planes, self._first = self._first, None
            for plane in planes:
                self._keep(plane)
                yield plane
        elif self._bytes <= _KEPT:
            yield from self._kept
        else:
            yield from planes_of(*self._source)

    def _keep(self, plane: Plane) -> None:
        self._bytes += plane.words.nbytes
        if self._bytes <= _KEPT:
            self._kept.append(plane)
        else:
            self._kept.clear()


def _computed(kept: _Kept, rule: WindowRule) -> Window:
    return window_of(kept.again, rule)


def _stated(volume: RawVolume, windows: list[Window], kept: _Kept) -> Window:
    for _ in kept.again():  # files state their windows as they are read
        pass
    if not windows:
        raise InputError(
            f"No file of the volume {volume.name} states a window, which --window voi takes.",
            kind="no-window",
            hint="Compute it of the pixels with --window percentile:0.5,99.5, or name it with --window fixed:LOW,HIGH.",
            paths=[volume.name],
        )
    return stated_window(windows)


class _VolumeToRead(NamedTuple):
    """A volume to read."""

    root: str
    volume: RawVolume
    options: ImageOptions


def _read(task: _VolumeToRead) -> VolumeFacts:
    return read_volume_facts(*task)


def read_facts(
    root: str,
    volumes: Sequence[RawVolume],
    options: ImageOptions,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[VolumeFacts]:
    """Return the facts of many volumes, in their order, read by several processes, a volume each at a time.

    Raises:
        InputError: as `read_volume_facts`.
        UsageError: likewise.
    """
    told = progress or Silent()
    slices = sum(len(volume.frames) for volume in volumes)
    found: dict[int, VolumeFacts] = {}
    told.begin("read pixels", slices, "slices")
    try:
        with ProcessPool(process_count(slices, jobs, LIMITS._replace(worth_forking=_WORTH_FORKING))) as pool:
            for number, facts in pool.work_off(_read, [_VolumeToRead(root, volume, options) for volume in volumes]):
                found[number] = facts
                told.advance(len(facts.digests))
    finally:
        told.end()
    return [found[number] for number in range(len(volumes))]
