"""The 16 kinds of damage to a finished dataset (docs/reliability.md, row 5): each does it, and says what must be found.

A function returns the (kind, path) pairs that the audit must report as errors, or None where the damage does not exist
in that mode, or nothing promises that it is found (bytes of a linked image without `--hash-images`, or of a
clone, which has no sum either).
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.audit.built import LISTS, Built

ImageToRead = set[tuple[str, str]] | None
Damage = Callable[[Built, random.Random], ImageToRead]


def some_image(built: Built, draw: random.Random) -> str:
    return draw.choice(built.images())


def source_of(built: Built, image: str) -> str:
    """Return the absolute source path of an image of the output."""
    if built.mode == "list":
        return image
    name = os.path.basename(image)
    return next(
        os.path.join(folder, each)
        for folder, _, names in os.walk(built.source / "images")
        for each in names
        if each == name
    )


def overwritten(path: Path, data: bytes) -> None:
    """Change bytes in place, whatever the link, and put the time back."""
    before = os.stat(path)
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def label_kind(built: Built, kind: str) -> str:
    """Return what a changed label is called: in list mode it is the source's."""
    return "source-changed" if built.mode == "list" else kind


def relisted(built: Built, image: str, other: str) -> ImageToRead:
    """Put another image's line into the place of an image's in its list."""
    name = next(name for name in LISTS if image in (built.output / name).read_text().splitlines())
    path = built.output / name
    path.write_text(path.read_text().replace(f"{image}\n", f"{other}\n"))
    return {("missing", name), ("extra", name)}


def relisted_away(built: Built, image: str, kept: str) -> ImageToRead:
    """Take an image's line out of every list but one."""
    name = next(name for name in LISTS if name != kept and image in (built.output / name).read_text().splitlines())
    path = built.output / name
    path.write_text(path.read_text().replace(f"{image}\n", ""))
    return {("missing", name)}


def image_rot(built: Built, image: str, data: bytes) -> ImageToRead:
    overwritten(built.output / image, data)
    if built.mode == "copy":
        return {("checksum", image)}
    if not built.hashed:
        return None
    return {("checksum", image) if built.mode == "reflink" else ("source-changed", source_of(built, image))}


def bit_flip(built: Built, draw: random.Random) -> ImageToRead:
    image = some_image(built, draw)
    data = bytearray((built.output / image).read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return image_rot(built, image, bytes(data))


def truncation(built: Built, draw: random.Random) -> ImageToRead:
    image = some_image(built, draw)
    data = (built.output / image).read_bytes()
    overwritten(built.output / image, data[: draw.randrange(len(data))])
    own = built.mode in ("copy", "reflink")
    return {("size", image) if own else ("source-changed", source_of(built, image))}


def same_size_edit(built: Built, draw: random.Random) -> ImageToRead:
    image = some_image(built, draw)
    return image_rot(built, image, draw.randbytes((built.output / image).stat().st_size))


def labels_swapped(built: Built, draw: random.Random) -> ImageToRead:
    labels = [built.label_of(image) for image in built.images()]
    one, other = draw.sample([label for label in labels if (built.output / label).stat().st_size], 2)
    first, second = (built.output / one).read_bytes(), (built.output / other).read_bytes()
    overwritten(built.output / one, second)
    overwritten(built.output / other, first)
    return {(label_kind(built, "checksum"), one), (label_kind(built, "checksum"), other)}


def link_retargeted(built: Built, draw: random.Random) -> ImageToRead:
    one, other = draw.sample(built.images(), 2)
    if built.mode == "list":
        return relisted(built, one, other)
    (built.output / one).unlink()
    os.symlink(source_of(built, other), built.output / one)
    return {("link-target", one)}


def link_dangling(built: Built, draw: random.Random) -> ImageToRead:
    image = some_image(built, draw)
    if built.mode not in ("symlink", "list"):
        (built.output / image).unlink()
        os.symlink("/nowhere/at/all.png", built.output / image)
        return {("link-target", image)}
    os.unlink(source_of(built, image))
    return {("dangling", image)}


def share_broken(built: Built, draw: random.Random) -> ImageToRead:
    if built.mode not in ("hardlink", "symlink"):
        return None
    image = some_image(built, draw)
    path = built.output / image
    shutil.copy2(path, f"{path}.new")
    os.replace(f"{path}.new", path)
    return {("not-same-inode" if built.mode == "hardlink" else "link-target", image)}


def missing(built: Built, draw: random.Random) -> ImageToRead:
    image = some_image(built, draw)
    gone = draw.choice([image, built.label_of(image)])
    (built.output / gone).unlink()
    if built.mode == "list":
        return {("dangling" if gone == image else "source-changed", gone)}
    return {("missing", gone)}


def extra(built: Built, draw: random.Random) -> ImageToRead:
    name = draw.choice(["images/train/new.png", "labels/val/new.txt", "notes.md", "other.yaml", "images/val/sub/1.jpg"])
    (built.output / name).parent.mkdir(parents=True, exist_ok=True)
    (built.output / name).write_bytes(b"stranger")
    return {("extra", name)}


def label_emptied(built: Built, draw: random.Random) -> ImageToRead:
    labels = [built.label_of(image) for image in built.images()]
    label = draw.choice([label for label in labels if (built.output / label).stat().st_size])
    overwritten(built.output / label, b"")
    return {(label_kind(built, "size"), label)}


def label_added(built: Built, draw: random.Random) -> ImageToRead:
    labels = [built.label_of(image) for image in built.images()]
    label = draw.choice([label for label in labels if not (built.output / label).stat().st_size])
    overwritten(built.output / label, b"0 0.1 0.1 0.1 0.1\n")
    return {(label_kind(built, "size"), label)}


def slice_moved(built: Built, draw: random.Random) -> ImageToRead:
    image = some_image(built, draw)
    if built.mode == "list":
        other = draw.choice([name for name in LISTS if image not in (built.output / name).read_text().splitlines()])
        with open(built.output / other, "a") as file:
            file.write(f"{image}\n")
        return {("extra", other), *(relisted_away(built, image, other) or ())}
    _, split, name = image.split("/", 2)
    other = draw.choice([each for each in ("train", "val", "test") if each != split])
    moved = f"images/{other}/{name}"
    for old, new in ((image, moved), (built.label_of(image), built.label_of(moved))):
        (built.output / new).parent.mkdir(exist_ok=True)
        os.rename(built.output / old, built.output / new)
    volume = os.path.splitext(os.path.basename(image))[0].partition("-")[2]
    pairs = {("missing", image), ("extra", moved), ("missing", built.label_of(image)), ("extra", built.label_of(moved))}
    alone = sum(Path(each).stem.partition("-")[2] == volume for each in built.images()) == 1
    return pairs if alone else pairs | {("volume-overlap", volume)}


def image_replaced(built: Built, draw: random.Random) -> ImageToRead:
    one, other = draw.sample(built.images(), 2)
    data = (built.output / other).read_bytes()
    (built.output / f"{one}.new").write_bytes(data)
    os.replace(built.output / f"{one}.new", built.output / one)
    if built.mode == "reflink" and not built.hashed:
        return None
    kinds = {
        "copy": "checksum",
        "reflink": "checksum",
        "hardlink": "not-same-inode",
        "symlink": "link-target",
        "list": "source-changed",
    }
    return {(kinds[built.mode], one)}


def yaml_edited(built: Built, draw: random.Random) -> ImageToRead:
    path = built.output / "dataset.yaml"
    text = path.read_text()
    edited = draw.choice(
        [
            text.replace("val: val.txt", "val: test.txt").replace("val: images/val", "val: images/test"),
            text.replace("tear", "tears"),
            text.replace(f'path: "{built.output}"', "path: /somewhere/else"),
            text + "more: 1\n",
            text.partition("\n")[2],
        ]
    )
    assert edited != text
    path.write_text(edited)
    return {("dataset-yaml", "dataset.yaml")}


def metadata_edited(built: Built, draw: random.Random) -> ImageToRead:
    path = built.output / "balanced_dataset_metadata.json"
    text = path.read_text()
    place = draw.choice([at for at in range(len(text)) if text[at].isdigit()])
    path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
    return {("metadata", path.name)}


def source_edited(built: Built, draw: random.Random) -> ImageToRead:
    path = source_of(built, some_image(built, draw))
    with open(path, "ab") as file:
        file.write(b"more")
    return {("source-changed", path)}


DAMAGES: dict[str, Damage] = {
    "bit flip": bit_flip,
    "truncation": truncation,
    "same-size edit with the mtime put back": same_size_edit,
    "two equal-size labels swapped": labels_swapped,
    "link retargeted": link_retargeted,
    "link dangling": link_dangling,
    "inode share broken": share_broken,
    "file missing": missing,
    "file extra": extra,
    "label emptied": label_emptied,
    "label added to a negative": label_added,
    "slice moved to another split": slice_moved,
    "image replaced by another's bytes": image_replaced,
    "dataset.yaml edited": yaml_edited,
    "metadata edited": metadata_edited,
    "source edited under a link": source_edited,
}
