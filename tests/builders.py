"""A vocabulary of tiny datasets: a volume is a word, a slice is a letter.

    yolo_tree(tmp_path / "in", {"01-02-00011": "..++.", "01-02-00012": "....."})

`+` positive, `.` negative with an empty label, `_` negative with white space only, `-` without a label file,
`!` an invalid label line, ` ` a slice that is not there. Slices count from 1.
"""

import hashlib
import os
import random
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

LABELS = {"+": b"0 0.5 0.5 0.1 0.2\n", ".": b"", "_": b" \n\t\n", "!": b"0 0.5 0.5 1.7 0.2\n"}
IM_DASH = "IM{slice}-{volume}.png"
TRAILING = "{volume}_{slice:03d}.png"


def image_bytes(key: str, size: int = 64) -> bytes:
    """Bytes that differ from slice to slice and are the same on every run; not a picture."""
    return (hashlib.sha256(key.encode()).digest() * (size // 32 + 1))[:size]


def picture_bytes(key: str) -> bytes:
    """A grey PNG of noise, 10 pixels a side, that differs from slice to slice; all are of one size in bytes."""
    noise = image_bytes(key, 100)
    rows = zlib.compress(b"".join(b"\0" + noise[at : at + 10] for at in range(0, 100, 10)), 0)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def yolo_tree(
    root: Path,
    volumes: Mapping[str, str],
    *,
    name: str = IM_DASH,
    images: str = "images/train",
    labels: str | None = None,
    names: tuple[str, ...] | None = ("tear",),
    split_of: Mapping[str, str] | None = None,
) -> Path:
    """Write a dataset and return its root.

    `name` may hold `/` (a folder a volume). `images` is the image folder, `labels` by default the same path with
    `images` replaced; with `split_of` a volume goes to `images/<split>`. A `dataset.yaml` carries `names` and names
    these folders, one folder as train and val; None writes no yaml.
    """
    for volume, letters in volumes.items():
        folder = f"images/{split_of[volume]}" if split_of is not None else images
        label_folder = labels if labels is not None else folder.replace("images", "labels")
        for number, letter in enumerate(letters, start=1):
            if letter != " ":
                stem = name.format(slice=number, volume=volume)
                write(root / folder / stem, image_bytes(f"{volume}/{number}"))
                if letter != "-":
                    write(root / label_folder / Path(stem).with_suffix(".txt"), LABELS[letter])
    if names is not None:
        listed = "".join(f"  {i}: {n}\n" for i, n in enumerate(names))
        splits = sorted(set(split_of.values())) if split_of is not None else ()
        named = {split: f"images/{split}" for split in splits} or {"train": images, "val": images}
        lines = "".join(f"{split}: {folder}\n" for split, folder in named.items())
        write(root / "dataset.yaml", f"path: {root}\n{lines}names:\n{listed}".encode())
    return root


def write(path: Path, data: bytes) -> Path:
    """Write a file, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def mixed_volumes(
    positive: int, negative: int, *, seed: int = 0, smallest: int = 6, largest: int = 14
) -> dict[str, str]:
    """Return volumes of uneven size, ids as in the guide; positive ones hold negative slices too."""
    draw = random.Random(seed)
    volumes = {}
    for index in range(positive + negative):
        length = draw.randint(smallest, largest)
        tears = draw.randint(1, max(1, length // 3)) if index < positive else 0
        start = draw.randint(0, length - tears)
        volumes[f"01-02-{index:05d}"] = "." * start + "+" * tears + "." * (length - tears - start)
    return volumes


def tree_state(root: Path, *, leave_out: tuple[str, ...] = ()) -> dict[str, tuple[object, ...]]:
    """Return what must not change: every name with its type, mode, owner, mtime and bytes or link target."""
    return {path: _state(f"{root}/{path}") for path in sorted(_walk(root)) if not path.startswith(leave_out or ("\0",))}


def _walk(root: Path) -> Iterator[str]:
    above = len(os.fspath(root)) + 1
    for folder, folders, files in os.walk(root):
        below = f"{folder}/"[above:]
        for name in (*folders, *files):
            yield below + name


def _state(path: str) -> tuple[object, ...]:
    facts = os.lstat(path)
    common = (oct(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_mtime_ns)
    if stat.S_ISLNK(facts.st_mode):
        return (*common, os.readlink(path))
    if stat.S_ISDIR(facts.st_mode):
        return common
    with open(path, "rb", buffering=0) as file:
        return (*common, hashlib.sha256(file.read()).hexdigest())


def tree_content(root: Path) -> dict[str, str]:
    """Return what two equal builds share: names and content without `.planbalance/`; links by target."""
    return {
        path: str(_state(f"{root}/{path}")[-1])
        for path in sorted(_walk(root))
        if not path.startswith(".planbalance") and not os.path.isdir(f"{root}/{path}")
    }


def seed_shaped_volumes(seed: int = 0) -> dict[str, tuple[int, int]]:
    """Return the guide's dataset as volume -> (slices, positive slices), sizes uneven.

    93 positive volumes with 18,273 positive slices, 457 negative ones, 76,167 negative slices in all.
    """
    draw = random.Random(seed)
    positives = spread(18_273, [draw.lognormvariate(0, 0.5) for _ in range(93)], draw, least=1)
    extra = [draw.lognormvariate(0, 0.4) * 40 for _ in range(93)]
    negatives = spread(76_167, extra + [draw.lognormvariate(0, 0.4) * 160 for _ in range(457)], draw, least=1)
    sizes = [(tears + rest, tears) for tears, rest in zip(positives, negatives[:93], strict=True)]
    sizes += [(rest, 0) for rest in negatives[93:]]
    draw.shuffle(sizes)
    return {f"{index // 200 + 1:02d}-{index % 7 + 1:02d}-{index:05d}": size for index, size in enumerate(sizes)}


def spread(total: int, weights: list[float], draw: random.Random, *, least: int) -> list[int]:
    """Return integers in proportion to weights, none below `least`, that sum to `total`."""
    scale = total / sum(weights)
    counts = [max(least, int(weight * scale)) for weight in weights]
    while (rest := total - sum(counts)) != 0:
        index = draw.randrange(len(counts))
        if rest > 0 or counts[index] > least:
            counts[index] += 1 if rest > 0 else -1
    return counts


def seed_shaped_tree(root: Path, *, seed: int = 0, image_size: int = 16) -> Path:
    """Write the guide's combined dataset, 94,440 slices named `IM<slice>-<volume>.dcm`, spread over three splits."""
    split_names = ("train", "val", "test")
    for split in split_names:
        os.makedirs(root / "images" / split)
        os.makedirs(root / "labels" / split)
    for index, (volume, (slices, tears)) in enumerate(seed_shaped_volumes(seed).items()):
        split = split_names[0 if index % 10 < 7 else 1 + index % 2]
        first = (slices - tears) // 2
        for number in range(slices):
            stem = f"IM{number + 1}-{volume}"
            with open(f"{root}/images/{split}/{stem}.dcm", "wb") as image:
                image.write(image_bytes(stem, image_size))
            with open(f"{root}/labels/{split}/{stem}.txt", "wb") as label:
                if first <= number < first + tears:
                    label.write(b"0 0.5 0.5 0.1 0.2\n")
    (root / "dataset.yaml").write_text(
        f"path: {root}\ntrain: images/train\nval: images/val\ntest: images/test\nnames: [tear]\n"
    )
    return root
