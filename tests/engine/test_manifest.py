"""The manifest's lines: sorted by path whatever blocks they come from, as sha256sum writes and reads them."""

import hashlib
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from planbalance.engine.manifest import Lines, in_order, lines_of

# Digits and dashes sort around `/` and `.`, beyond U+FFFF UTF-16 sorts otherwise than UTF-8, a backslash is escaped.
PARTS = st.text(st.sampled_from("a-.0\\é\uffff\U0001f600"), min_size=1, max_size=4)
PATHS = st.builds("images/{}/{}".format, PARTS, PARTS) | st.builds("images/{}".format, PARTS)


@given(st.lists(st.lists(PATHS, min_size=1, max_size=6), max_size=6))
def test_lines_of_any_parts_come_out_sorted_by_bytes(groups: list[list[str]]) -> None:
    parts = [lines_of((path, digest_of(path)) for path in set(group)) for group in groups]
    text = b"".join(in_order(parts))
    expected = sorted(path.encode() for group in groups for path in set(group))
    assert [path_in(line) for line in text.split(b"\n")[:-1]] == expected


def test_parts_that_follow_each_other_are_not_taken_apart() -> None:
    parts = [Lines("b", "c", b"not lines"), Lines("a", "a", b"at all, ")]
    assert list(in_order(parts)) == [b"at all, ", b"not lines"]


def test_sha256sum_writes_the_same_lines(tmp_path: Path) -> None:
    names = ["plain", "with\\backslash", "\\", "sp ace", "é"]
    for name in names:
        (tmp_path / name).write_text(name)
    written = subprocess.run(["sha256sum", *sorted(names)], cwd=tmp_path, capture_output=True, check=True).stdout
    assert lines_of((name, digest_of(name)) for name in names).text == written


def digest_of(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


def path_in(line: bytes) -> bytes:
    return line[67:].replace(b"\\\\", b"\\") if line.startswith(b"\\") else line[66:]
