"""Reads the documents of a dataset (yaml, JSON, manifest, lists) and compares their content with the plan's. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
import yaml

_SUM_LINE: Final = re.compile(rb"(\\?)([0-9a-f]{64}) [ *]([^\n]+)\Z")
_PLAIN_LINES: Final = re.compile(rb"(?:[0-9a-f]{64}  [^\r\n]++\n)*+")
_ESCAPES: Final = {rb"\n": b"\n", rb"\r": b"\r", rb"\\": b"\\"}


class UnreadableDocumentError(ValueError):
    """A document cannot be read as what it should be; the message says why in a few words."""


def yaml_value(data: bytes) -> dict[str, object]:
    """Return a YAML document's mapping.

    Read by the loader in Python: the one in C overflows the stack on 10,000 brackets, which ends the process.

    Raises:
        UnreadableDocumentError: it is no YAML mapping, or nests too deeply.
    """
    try:
        return _mapping(yaml.safe_load(data))
    except UnreadableDocumentError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise UnreadableDocumentError(f"is not YAML{where}") from None


def json_value(data: bytes) -> dict[str, object]:
    """Return a JSON document's object.

    Raises:
        UnreadableDocumentError: it is no JSON object.
    """
    try:
        return _mapping(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise UnreadableDocumentError(f"is not JSON ({error})") from None


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnreadableDocumentError("holds no mapping of keys to values")
    return value


def difference(found: object, planned: object, where: str = "") -> str:
    """Return the first place where two parsed documents differ, as a few words; `""` where they are equal.

    Goes no deeper than `planned`, so that a document that somebody nested on purpose costs no more than the plan's.
    """
    if isinstance(planned, dict) and isinstance(found, dict):
        return _different_mapping(found, planned, where)
    if isinstance(planned, list) and isinstance(found, list):
        if found == planned:
            return ""
        if len(planned) != len(found):
            return f"{where or 'the list'} has {len(found)} entries, the plan gives {len(planned)}"
        parts = (
            difference(left, right, f"{where}[{i}]") for i, (left, right) in enumerate(zip(found, planned, strict=True))
        )
        return next((text for text in parts if text), "")
    if type(found) is type(planned) and found == planned:
        return ""
    return f"{where or 'it'} is {_short(found)}, the plan gives {_short(planned)}"


def _different_mapping(found: Mapping[Any, Any], planned: Mapping[Any, Any], where: str) -> str:
    for key, value in planned.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in found:
            return f"{place} is missing"
        if text := difference(found[key], value, place):
            return text
    surplus = [key for key in found if key not in planned]
    return f"{where + '.' if where else ''}{_short(surplus[0])} is not in the plan" if surplus else ""


def _short(value: object) -> str:
    """Return a value for a sentence; never expands a document (aliases may make a small YAML text huge)."""
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def without_path(document: dict[str, object]) -> tuple[dict[str, object], object]:
    """Return a dataset.yaml's value without its `path:`, and the path."""
    return {key: value for key, value in document.items() if key != "path"}, document.get("path")


def plain_paths(data: bytes) -> list[str]:
    """Return the paths of `sha256sum` text whose lines are all as planbalance writes them; else none."""
    if not _PLAIN_LINES.fullmatch(data):
        return []
    return [line[66:] for line in data.decode("utf-8", "surrogateescape").split("\n")[:-1]]


def manifest_sums(data: bytes) -> tuple[dict[str, str], list[int]]:
    """Return SHA-256 (hex) by path, and the numbers of lines that cannot be read or that name a path again.

    `data` is text as `sha256sum` writes it. Lines as planbalance writes them take one search and one split.
    """
    if _PLAIN_LINES.fullmatch(data):
        lines = data.decode("utf-8", "surrogateescape").split("\n")[:-1]
        sums = {line[66:]: line[:64] for line in lines}
        if len(sums) == len(lines):
            return sums, []
    return _sums_line_by_line(data)


def _sums_line_by_line(data: bytes) -> tuple[dict[str, str], list[int]]:
    sums: dict[str, str] = {}
    bad: list[int] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        match = _SUM_LINE.match(line)
        if match is None:
            if line:
                bad.append(number)
            continue
        name = match[3] if not match[1] else re.sub(rb"\\[nr\\]", lambda escape: _ESCAPES[escape[0]], match[3])
        path = name.decode("utf-8", "surrogateescape")
        if path in sums:
            bad.append(number)
        sums[path] = match[2].decode("ascii")
    return sums, bad


def listed_paths(data: bytes) -> Iterator[str]:
    """Yield the image paths of a `train.txt`."""
    for line in data.split(b"\n"):
        if line.strip():
            yield line.strip(b"\r").decode("utf-8", "surrogateescape")


def counted_twice(paths: Iterable[str]) -> tuple[set[str], list[str]]:
    """Return the paths as a set, and those that came more than once."""
    seen: set[str] = set()
    twice = []
    for path in paths:
        if path in seen:
            twice.append(path)
        seen.add(path)
    return seen, twice


# ---- the manifest ---------------------------------------------------------------------------------------------------


_PATH: Final = 66  # where the path begins: 64 digits, two spaces


class Manifest:
    """The bytes of a manifest.

    Attributes:
        data: all of it.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._parsed: tuple[dict[str, str], list[int]] | None = None

    def length_of_lines(self, folder: str, names: Iterable[str], sums: Iterable[str] | None) -> int:
        """Return how many bytes the lines of a folder's files take where they follow each other; else 0.

        Args:
            folder: relative to the dataset, `""` the dataset itself.
            names: of the files.
            sums: hexadecimal, one for each name; None: any sums.
        """
        prefix = f"{folder}/" if folder else ""
        if sums is None:
            paths = [f"{prefix}{name}" for name in sorted(names)]
            start = self._start(paths[0].encode())
            size = len("".join(paths).encode()) + len(paths) * (_PATH + 1)
            lines = self.data[start : start + size]
            return len(lines) if plain_paths(lines) == paths else 0
        text = "".join([f"{digest}  {prefix}{name}\n" for name, digest in sorted(zip(names, sums, strict=True))])
        lines = text.encode()
        return len(lines) if self.data.startswith(lines, self._start(lines[_PATH : lines.find(b"\n")])) else 0

    def sum_of(self, path: str) -> str | None:
        """Return the sum of one file, hexadecimal, or None where the manifest does not name it."""
        name = path.encode("utf-8", "surrogateescape")
        start = self._start(name)
        line = self.data[start : start + _PATH + len(name) + 1]
        if plain_paths(line) == [path]:
            return line[: _PATH - 2].decode("ascii")
        return self.parsed()[0].get(path)

    def parsed(self) -> tuple[dict[str, str], list[int]]:
        """Return what `documents.manifest_sums` does, once."""
        if self._parsed is None:
            self._parsed = manifest_sums(self.data)
        return self._parsed

    def _start(self, path: bytes) -> int:
        """Return the offset of the first line whose path is not less, by binary search; lines must be sorted."""
        data = self.data
        low, high = 0, len(data)
        while low < high:
            middle = (low + high) // 2
            start = data.rfind(b"\n", low, middle) + 1 or low
            end = data.find(b"\n", middle)
            if end < 0:
                end = len(data)
            if data[start + _PATH : end] < path:
                low = end + 1
            else:
                high = start
        return low
