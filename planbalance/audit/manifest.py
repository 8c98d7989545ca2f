"""The manifest: `sha256sum` text, compared a stretch at a time where it is as the tool writes it, else line by line.

The tool writes its lines sorted by path, so the lines of a block of the plan are one stretch of it, and bytes are
compared with bytes. A manifest is as untrusted as anything in the folder: what does not compare is parsed.
"""

from collections.abc import Iterable
from typing import Final

from planbalance.audit.documents import manifest_sums, plain_paths

_PATH: Final = 66  # where the path begins: 64 digits, two spaces


class Manifest:
    """The bytes of a manifest.

    Attributes:
        data: all of it.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._parsed: tuple[dict[str, str], list[int]] | None = None

    def stretch(self, folder: str, names: Iterable[str], sums: Iterable[str] | None) -> int:
        """Return how many bytes the lines of a folder's files take, where these stand together; else 0.

        Args:
            folder: relative to the data set, `""` the data set itself.
            names: of the files.
            sums: hexadecimal, one a name; None: any that are sums.
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
        """Return where the first line begins whose path is not less, by halving: of sorted lines, that of the path."""
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
