"""Volumes and patients from DICOM headers: `--volume-from`, `--group-from`. Needs the extra `dicom`.

No plan, report or log carries an identity: a `PatientID` or UID becomes HMAC-SHA256 under a key that stays on this
machine, so that nobody can find short ids by trying all of them. Datasets that must have equal ids need the same key.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, Literal

from planbalance.errors import InputError, UsageError
from planbalance.executor.autoscaler import LIMITS
from planbalance.executor.processes import ProcessPool, process_count
from planbalance.group_sources import GROUP_TAGS
from planbalance.grouping import GroupMap, keyed_value
from planbalance.model import Input, Progress, Silent, Volume
from planbalance.naming import Names
from planbalance.path_relation import path_in
from planbalance.slicemap import Place, SourceReading
from planbalance.text import counted, error_text, some

SERIES: Final = "SeriesInstanceUID"
TAGS: Final = (*GROUP_TAGS, SERIES, "InstanceNumber")
_VALUES: Final = {"PatientID": "patients", "StudyInstanceUID": "studies", "FrameOfReferenceUID": "frames of reference"}
_KEY_BYTES: Final = 32
BATCH: Final = 200  # headers that a worker process reads at a time
_WHOLE: Final = re.compile("[0-9]{1,18}", re.ASCII)

Values = tuple[str | None, ...]  # one for each of `TAGS`, None where it is absent


def group_key(path: str) -> bytes:
    """Return the key in a file; where there is no such file, make one that only its owner may read.

    Raises:
        UsageError: it cannot be read or made, or is shorter than 16 bytes (kind `bad-key`).
    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            with open(path, "rb") as file:
                key = file.read()
        else:
            key = os.urandom(_KEY_BYTES).hex().encode()
            with open(made, "wb") as file:
                file.write(key)
    except OSError as error:
        raise UsageError(
            f"The group key {path} cannot be used: {error_text(error)}.", kind="bad-key", paths=[path]
        ) from None
    if len(key) < _KEY_BYTES // 2:
        raise UsageError(
            f"The group key {path} is shorter than {_KEY_BYTES // 2} bytes.",
            kind="bad-key",
            hint="Give it random bytes, or delete it and have a new one made.",
            paths=[path],
        )
    return key


class Headers:
    """Reads headers, each file once; many files are read by several processes.

    Args:
        jobs: how many processes; None: one for each core.
        progress: where to report to.
        batch: how many headers a process reads at a time.
    """

    def __init__(self, *, jobs: int | None = None, progress: Progress | None = None, batch: int = BATCH) -> None:
        self._jobs, self._progress, self._batch = jobs, progress or Silent(), batch
        self._known: dict[str, Values | None] = {}

    def of(self, paths: Sequence[str]) -> list[Values | None]:
        """Return the values of `TAGS` in each file; None for one that is no DICOM file.

        Raises:
            UsageError: pydicom is not installed (kind `extra-missing`).
        """
        _require_pydicom()
        wanted = [path for path in dict.fromkeys(paths) if path not in self._known]
        if wanted:
            self._read(wanted)
        return [self._known[path] for path in paths]

    def _read(self, paths: Sequence[str]) -> None:
        batches = [paths[start : start + self._batch] for start in range(0, len(paths), self._batch)]
        self._progress.begin("read headers", len(paths), "images")
        try:
            with ProcessPool(process_count(len(paths), self._jobs, LIMITS)) as pool:
                for number, values in pool.work_off(_read_batch, batches):
                    self._known.update(zip(batches[number], values, strict=True))
                    self._progress.advance(len(values))
        finally:
            self._progress.end()


class SeriesSource:
    """Volumes from headers: a volume is a series, its slices are in the order of `InstanceNumber`.

    A volume's id is a keyed hash of `SeriesInstanceUID` (0020,000E): a UID is no person's name, but it would show which
    series of the hospital's archive the volume is.
    """

    rule: Literal["dicom"] = "dicom"
    tells_patients = False

    def __init__(self, key: bytes, headers: Headers) -> None:
        self._key = key
        self.headers = headers

    @property
    def parameters(self) -> dict[str, Any]:
        """What the plan stores of the source."""
        return {"volume_from": f"dicom:{SERIES}"}

    def read(self, places: Sequence[Place]) -> SourceReading:
        """Return the series of the images.

        Raises:
            UsageError: pydicom is not installed (kind `extra-missing`).
            InputError: images are no DICOM files or name no series (kind `no-series`); all are listed.
        """
        paths = [place.at or place.absolute for place in places]
        found = self.headers.of(paths)
        lacking = _lacking(paths, found, SERIES)
        if lacking:
            raise InputError(
                _sentence(lacking, SERIES),
                kind="no-series",
                hint="Name the volumes in a CSV file with --slice-map, or leave these out with `plan --exclude`.",
                paths=[path for path, _ in lacking],
            )
        series = _column(found, SERIES)
        ids = {uid: f"series-{keyed_value(SERIES, uid, self._key)[:16]}" for uid in set(series)}
        numbers = [int(text) if _WHOLE.fullmatch(text) else None for text in _column(found, "InstanceNumber")]
        return SourceReading(Names([ids[uid] for uid in series], numbers, None))


def groups_from_headers(
    inputs: Sequence[Input],
    volumes: Sequence[Volume],
    key: bytes,
    headers: Headers | None = None,
    *,
    tag: str = "PatientID",
    by_names: bool = True,
) -> GroupMap:
    """Return the groups of volumes, as keyed hashes, from the headers of their images.

    Args:
        inputs: of the snapshot.
        volumes: of the snapshot.
        key: of the hashes.
        headers: reads them.
        tag: one of `GROUP_TAGS`: `PatientID` (0010,0020), `StudyInstanceUID` (0020,000D), `FrameOfReferenceUID`
            (0020,0052).
        by_names: the volumes were read from names, so that headers may contradict them.

    Raises:
        UsageError: pydicom is not installed (kind `extra-missing`).
        InputError: images are no DICOM files or have no such value (kind `no-patient-id`, of another tag
            `no-dicom-value`), or headers contradict the volumes: one has two values (kind `two-patients`), or volumes
            and series are not the same (kind `names-contradict-headers`); all are listed.
    """
    files = [one.file for volume in volumes for one in volume.slices]
    paths = [path_in(inputs[file.input].root, file.path) for file in files]
    found = (headers or Headers()).of(paths)
    lacking = _lacking(paths, found, tag)
    if lacking:
        hint = "Name the patients in a CSV file with --group-map, or leave these volumes out with --exclude."
        kind = "no-patient-id" if tag == "PatientID" else "no-dicom-value"
        raise InputError(_sentence(lacking, tag), kind=kind, hint=hint, paths=[path for path, _ in lacking])
    ids = [volume.id for volume in volumes for _ in volume.slices]
    values_of = _values_of(ids, _column(found, tag))
    mixed = [id_ for id_, values in values_of.items() if len(values) > 1]
    if mixed:
        what = f"{counted(len(mixed), 'volume')} with images of several {_VALUES[tag]}: {some(mixed)}"
        raise _contradiction(what, "two-patients", mixed, by_names=by_names)
    if by_names:
        _refuse_other_series(_values_of(ids, _column(found, SERIES)))
    groups = {id_: keyed_value(tag, next(iter(values)), key) for id_, values in values_of.items()}
    return GroupMap(groups, source="dicom", name=f"dicom:{tag}")


def _column(found: Iterable[Values | None], tag: str) -> list[str]:
    """Return one tag's values, `""` where there is none."""
    at = TAGS.index(tag)
    return [(values[at] or "") if values else "" for values in found]


def _values_of(ids: Iterable[str], values: Iterable[str]) -> dict[str, dict[str, None]]:
    """Return the different values of each volume, without empty ones."""
    found: dict[str, dict[str, None]] = {}
    for id_, value in zip(ids, values, strict=True):
        own = found.setdefault(id_, {})
        if value:
            own[value] = None
    return found


def _refuse_other_series(series_of: Mapping[str, Collection[str]]) -> None:
    """Refuse volumes that are not one series each."""
    several = [id_ for id_, series in series_of.items() if len(series) > 1]
    if several:
        what = f"{counted(len(several), 'volume')} with images of several series: {some(several)}"
        raise _contradiction(what, "names-contradict-headers", several, by_names=True)
    volumes_of: defaultdict[str, list[str]] = defaultdict(list)
    for id_, series in series_of.items():
        for one in series:
            volumes_of[one].append(id_)
    divided = [" / ".join(sorted(ids)[:4]) for ids in volumes_of.values() if len(ids) > 1]
    if divided:
        what = f"{counted(len(divided), 'series', 'series')} in several volumes: {some(divided)}"
        raise _contradiction(what, "names-contradict-headers", divided, by_names=True)


def _contradiction(what: str, kind: str, paths: Sequence[str], *, by_names: bool) -> InputError:
    if not by_names:
        hint = "Name the patients in a CSV file with --group-map, or leave these volumes out with --exclude."
        return InputError(f"{what}.", kind=kind, hint=hint, paths=paths)
    return InputError(
        f"{what}. The DICOM headers contradict the volumes that were read from the names.",
        kind=kind,
        hint=f"Take the volumes from the headers too: --volume-from dicom:{SERIES}; or read the names with another "
        "--volume-pattern.",
        paths=paths,
    )


def _lacking(paths: Sequence[str], found: Sequence[Values | None], tag: str) -> list[tuple[str, Values | None]]:
    """Return the images without a value, with what was found of them."""
    column = _column(found, tag)
    return [(path, each) for path, each, value in zip(paths, found, column, strict=True) if not value]


def _sentence(lacking: Sequence[tuple[str, Values | None]], tag: str) -> str:
    no_dicom = sum(values is None for _, values in lacking)
    empty = sum(values is not None and values[TAGS.index(tag)] == "" for _, values in lacking)
    absent = len(lacking) - no_dicom - empty
    parts = [
        f"{no_dicom:,} {'is no DICOM file' if no_dicom == 1 else 'are no DICOM files'}" if no_dicom else "",
        f"{empty:,} with an empty one, as anonymised data have" if empty else "",
        f"{absent:,} with none" if absent else "",
    ]
    shown = some((path for path, _ in lacking), 3)
    return f"{counted(len(lacking), 'image')} without a DICOM {tag} ({', '.join(filter(None, parts))}): {shown}."


# ---- reading headers ------------------------------------------------------------------------------------------------


def _require_pydicom() -> None:
    # Not imported here: numpy, which it imports, starts threads, and then no processes may be forked to read headers.
    if find_spec("pydicom") is None:
        raise UsageError(
            "Reading DICOM headers needs pydicom, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[dicom]'",
        )


def _read_batch(paths: Sequence[str]) -> list[Values | None]:
    return list(map(_read_header, paths))


def _read_header(path: str) -> Values | None:
    from pydicom import dcmread  # noqa: PLC0415 - an extra: only reading headers needs it

    try:
        header: Any = dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
        return tuple(str(header.get(tag) or "").strip(" \0") if tag in header else None for tag in TAGS)
    except Exception:  # whatever pydicom raises for another kind of file
        return None
