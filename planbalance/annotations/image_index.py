"""Find the image that an annotation names: by UID, by path, by volume and number. What fits several is refused.

Paths are compared from their ends: `train/a.png` of an annotation file fits `images/train/a.png`, and a whole path of
another machine fits the part of it that is here. A name without its suffix, or with another one, fits if no image has
the whole name. A path whose folders contradict those of the only image of its name fits nothing.
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from planbalance.errors import InputError
from planbalance.import_model import ImageKey, PathKey, PlaneKey, RawVolume, SliceKey, UidKey, VolumeKey
from planbalance.model import IMAGE_SUFFIXES
from planbalance.text import counted, some

Place = tuple[int, int]  # index of the volume, index of its frame
_SUFFIXES: Final = IMAGE_SUFFIXES | {"dicom", "h5", "hdf5", "nii", "gz", "ima"}
_DRIVE: Final = re.compile(r"[A-Za-z]:")


class FoundFrames(NamedTuple):
    """What a key stands for.

    Attributes:
        frames: the frames; of an image, one.
        reason: why there is none.
        unsure: where there is none, the frames of which it must be one.
        by_stem: whether the image was found although the name has another suffix.
    """

    frames: tuple[Place, ...]
    reason: str = ""
    unsure: tuple[Place, ...] = ()
    by_stem: bool = False


class _File(NamedTuple):
    volume: int
    file: int
    folders: tuple[str, ...]
    name: str


class ImageIndex:
    """The images of a source, by everything that annotations may call them.

    Args:
        volumes: the images.
        frame_base: what the first frame of a file is called in `UidKey.frame`; None where it is not known.
    """

    def __init__(self, volumes: Sequence[RawVolume], frame_base: int | None) -> None:
        self._volumes = volumes
        self._frame_base = frame_base
        self._targets: dict[ImageKey, FoundFrames] = {}
        self._claims: dict[Hashable, str] = {}  # volume or file -> the name that an annotation file has for it
        self._by_uid: defaultdict[str, list[Place]] = defaultdict(list)
        self._by_study: defaultdict[str, list[int]] = defaultdict(list)
        self._by_series: defaultdict[str, list[int]] = defaultdict(list)
        self._by_name: defaultdict[str, list[_File]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[_File]] = defaultdict(list)
        self._frames_of: defaultdict[tuple[int, int], list[Place]] = defaultdict(list)
        self._numbers: dict[int, defaultdict[int, list[int]]] = {}
        self._planes: dict[int, dict[int, int]] = {}
        self._named: defaultdict[str, list[int]] = defaultdict(list)
        self._folders: defaultdict[str, list[int]] = defaultdict(list)
        for index, volume in enumerate(volumes):
            self._add(index, volume)

    def _add(self, index: int, volume: RawVolume) -> None:
        for place, frame in enumerate(volume.frames):
            self._frames_of[index, frame.file].append((index, place))
            if frame.uid:
                self._by_uid[frame.uid].append((index, place))
        if volume.study_uid:
            self._by_study[volume.study_uid].append(index)
        if volume.series_uid:
            self._by_series[volume.series_uid].append(index)
        for number, file in enumerate(volume.files):
            *folders, name = _parts(file.path)
            found = _File(index, number, tuple(folders), name)
            self._by_name[name].append(found)
            self._by_stem[_stem(name)].append(found)
        self._add_names(index, volume)

    def _add_names(self, index: int, volume: RawVolume) -> None:
        """Note what a volume may be called: its name, the name of its only file, and of a series that of its folder."""
        names = {volume.name}
        if len(volume.files) == 1:
            names.add(_stem(_parts(volume.files[0].path)[-1]))
        for name in names:
            self._named[name].append(index)
        if len(volume.files) == 1 and volume.kind != "dicom":
            return
        for folder in {file.path.rpartition("/")[0] for file in volume.files} - {""}:
            parts = _parts(folder)
            for start in range(len(parts)):
                self._folders["/".join(parts[start:])].append(index)

    # ---- keys -------------------------------------------------------------------------------------------------------

    def find(self, key: ImageKey) -> FoundFrames:
        """Return what a key stands for.

        Raises:
            InputError: it fits several images or volumes, or an image has two names in the annotation files (kind
                `ambiguous-image`); frames are numbered from an unknown base (kind `frame-base`); or slices are numbered
                in two ways (kind `slice-numbers`).
        """
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = self._find(key)
        return target

    def _find(self, key: ImageKey) -> FoundFrames:
        match key:
            case UidKey():
                return self._of_uid(key)
            case PathKey(path, also):
                found = self._of_path(path)
                return found if found.frames or found.unsure or not also else self._of_path(also)
            case SliceKey(volume, number):
                return self._of_slice(volume, number)
            case PlaneKey(volume, plane):
                return self._of_plane(volume, plane)
            case VolumeKey():
                return self._of_volume(key)

    def _of_uid(self, key: UidKey) -> FoundFrames:
        places = self._by_uid.get(key.uid, [])
        files = {(volume, self._volumes[volume].frames[frame].file) for volume, frame in places}
        if not places:
            return FoundFrames((), "no image has this SOPInstanceUID")
        if len(files) > 1:
            paths = [self._volumes[volume].files[file].path for volume, file in sorted(files)]
            raise _ambiguous(f"{len(files)} images have the SOPInstanceUID {key.uid}: {some(paths)}", paths)
        (file,) = files
        every = self._frames_of[file]
        if len(every) == 1:
            known = key.frame in ((None, 0) if self._frame_base is not None else (None, 0, 1))
            return FoundFrames((every[0],)) if known else FoundFrames((), f"it has one frame, not frame {key.frame}")
        if key.frame is None:
            return FoundFrames((), f"it has {len(every):,} frames, and none is named", tuple(every))
        if self._frame_base is None:
            path = self._volumes[file[0]].files[file[1]].path
            raise InputError(
                f"Annotations name frames of {path}, but not whether the first one is 0 or 1.",
                kind="frame-base",
                hint="Give --frame-base 0 or --frame-base 1.",
                paths=[path],
            )
        found = [place for place in every if self._volumes[place[0]].frames[place[1]].plane == key.frame]
        return (
            FoundFrames(tuple(found))
            if found
            else FoundFrames((), f"it has {len(every):,} frames, not frame {key.frame}")
        )

    def _of_path(self, path: str) -> FoundFrames:
        file, by_stem, reason = self._file(path)
        if file is None:
            return FoundFrames((), reason)
        self._claim((file.volume, file.file), path)
        frames = tuple(self._frames_of[file.volume, file.file])
        if len(frames) == 1:
            return FoundFrames(frames, by_stem=by_stem)
        if not frames:
            return FoundFrames((), "this file has no slice")
        return FoundFrames((), f"this file has {len(frames):,} slices, and none is named", frames)

    def _of_slice(self, name: str, number: int) -> FoundFrames:
        indices, reason = self._claimed_volumes(name)
        found = [(index, place) for index in indices for place in self._places_of(index).get(number, ())]
        if len(found) > 1:
            raise _ambiguous(f"{len(found)} slices have the number {number} in the series {name}", [])
        return FoundFrames(tuple(found), "" if found else reason or f"this volume has no slice {number}")

    def _of_plane(self, name: str, plane: int) -> FoundFrames:
        indices, reason = self._claimed_volumes(name)
        if not indices:
            return FoundFrames((), reason)
        if len(indices) > 1:
            raise _several(name, [self._volumes[index] for index in indices])
        (index,) = indices
        places = self._planes_of(index)
        if plane in places:
            return FoundFrames(((index, places[plane]),))
        return FoundFrames((), f"this volume has {counted(len(places), 'slice')}, and none at place {plane} from 0")

    def _places_of(self, index: int) -> Mapping[int, Sequence[int]]:
        """Return number of a slice -> its places in the volume."""
        places = self._numbers.get(index)
        if places is None:
            places = self._numbers[index] = defaultdict(list)
            for place, frame in enumerate(self._volumes[index].frames):
                places[frame.number].append(place)
        return places

    def _planes_of(self, index: int) -> Mapping[int, int]:
        """Return what a slice is called that is counted from 0 -> its place in the volume."""
        places = self._planes.get(index)
        if places is None:
            volume = self._volumes[index]
            if len(volume.files) > 1:
                self._require_counted(volume)
            planes = [frame.plane if len(volume.files) == 1 else place for place, frame in enumerate(volume.frames)]
            places = self._planes[index] = {plane: place for place, plane in enumerate(planes)}
        return places

    def _require_counted(self, volume: RawVolume) -> None:
        """Check that the place of a slice and its number say the same: numbers run from 0 or 1 without a gap."""
        numbers = [frame.number for frame in volume.frames]
        if numbers and (numbers[0] not in (0, 1) or numbers != list(range(numbers[0], numbers[0] + len(numbers)))):
            raise InputError(
                f"The slices of {volume.name} are not numbered from 0 or 1 without a gap, so it is not clear whether a "
                "slice of the annotation file is a place or a number.",
                kind="slice-numbers",
                hint="Name images by their paths instead.",
                paths=[volume.files[0].path],
            )

    def _of_volume(self, key: VolumeKey) -> FoundFrames:
        if key.volume:
            found, reason = self._claimed_volumes(key.volume)
        elif key.series_uid:
            found, reason = self._by_series.get(key.series_uid, []), "no image has this SeriesInstanceUID"
        else:
            found, reason = self._by_study.get(key.study_uid, []), "no image has this StudyInstanceUID"
        frames = self._frames(found)
        return FoundFrames(frames, "" if frames else reason)

    def _frames(self, indices: Iterable[int]) -> tuple[Place, ...]:
        return tuple((index, place) for index in indices for place in range(len(self._volumes[index].frames)))

    def find_line(self, line: str) -> tuple[Place, ...]:
        """Return the frames for which a line of a list of reviewed volumes and images stands; none if there are none.

        Raises:
            InputError: it fits several (kind `ambiguous-image`).
        """
        indices, _ = self._volumes_of(line)
        if indices:
            return self._frames(indices)
        file, _, _ = self._file(line)
        return () if file is None else tuple(self._frames_of[file.volume, file.file])

    # ---- names ------------------------------------------------------------------------------------------------------

    def _volumes_of(self, name: str) -> tuple[list[int], str]:
        """Return the volume of a name, and why there is none. The name is its own, its only file's or its folder's.

        There are several volumes only where they are parts of one series.
        """
        *folders, last = _parts(name) or [""]
        found = dict.fromkeys((*self._named.get(name, ()), *self._folders.get("/".join((*folders, last)), ())))
        if not found:
            files = [one for one in self._by_stem.get(_stem(last), []) if len(self._volumes[one.volume].files) == 1]
            found = dict.fromkeys(one.volume for one in _fitting(files, tuple(folders)))
        volumes = [self._volumes[index] for index in found]
        if len(volumes) > 1 and (not volumes[0].series_uid or len({one.series_uid for one in volumes}) > 1):
            raise _several(name, volumes)
        return list(found), "" if found else "no volume has this name"

    def _claimed_volumes(self, name: str) -> tuple[list[int], str]:
        """Return the same for an annotation, whose files may have only one name for a volume."""
        indices, reason = self._volumes_of(name)
        for index in indices:
            self._claim(index, name)
        return indices, reason

    def _file(self, path: str) -> tuple[_File | None, bool, str]:
        """Return the file of a path, whether the path has another suffix, and why there is none."""
        *folders, name = _parts(path) or [""]
        by_stem = name not in self._by_name
        named = self._by_stem.get(_stem(name), []) if by_stem else self._by_name[name]
        fitting = _fitting(named, tuple(folders))
        if len(fitting) > 1:
            paths = [self._volumes[one.volume].files[one.file].path for one in fitting]
            raise _ambiguous(f"{len(fitting)} images fit the name {path}: {some(paths)}", paths)
        if fitting:
            return fitting[0], by_stem and _stem(name) != name, ""
        if named:
            other = "/".join((*named[0].folders, named[0].name))
            return None, False, f"the image of this name lies in another folder: {other}"
        return None, False, "no image has this name"

    def _claim(self, what: Hashable, name: str) -> None:
        """Note what an image or volume is called. Raises InputError if it already has another name."""
        spelling = "/".join(_parts(name))
        before = self._claims.setdefault(what, spelling)
        if before != spelling:
            raise _ambiguous(f"two names of the annotation file fit one image: {before} and {spelling}", [])


def _several(name: str, volumes: Sequence[RawVolume]) -> InputError:
    paths = [volume.files[0].path for volume in volumes if volume.files]
    return _ambiguous(f"{len(volumes)} volumes fit the name {name}: {some(paths)}", paths)


def _ambiguous(fault: str, paths: Iterable[str]) -> InputError:
    return InputError(
        f"It is not clear which image is meant: {fault}.",
        kind="ambiguous-image",
        hint="Give --images the folder that has only the images of this annotation file.",
        paths=paths,
    )


def _parts(path: str) -> list[str]:
    """Return the folders and the name of a path; backslashes of Windows are `/`, and a drive is left out."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    return parts[1:] if parts and _DRIVE.fullmatch(parts[0]) else parts


def _stem(name: str) -> str:
    """Return a name without the suffixes of an image file; `.nii.gz` are two."""
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem or suffix.lower() not in _SUFFIXES:
        return name
    return stem[:-4] if suffix.lower() == "gz" and stem.lower().endswith(".nii") and len(stem) > 4 else stem


def _fitting(files: Sequence[_File], folders: tuple[str, ...]) -> list[_File]:
    """Return the files that fit these folders best: the whole path, else the one that has most folders in common."""
    common = [(_common(one.folders, folders), one) for one in files]
    whole = [one for one in files if one.folders == folders]
    if whole:
        return whole
    most = max((count for count, _ in common), default=-1)
    return [one for count, one in common if count == most >= 0]


def _common(ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """Return how many folders two paths have in common at their ends; -1 where folders contradict each other."""
    count = min(len(ours), len(theirs))
    return count if count == 0 or ours[-count:] == theirs[-count:] else -1
