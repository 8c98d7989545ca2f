"""Every command of the README and the docs is run, on the dataset that the demo draws, and prints what is shown."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules

import click
import pytest

import planbalance
from planbalance.cli.program import COMMANDS, cli
from tests.docs.blocks import as_pattern, blocks
from tests.docs.places import DOCS, REPOSITORY
from tests.docs.session import DocsError, Session, check_syntax, reader

PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
LANGUAGES = frozenset(("console", "python", "text", "json", "yaml", "csv", "bash", "bibtex"))

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not here")
pytest.importorskip("jinja2")


# `$_` is the last word of the command before, in bash and in zsh.
EMPTY_FOLDER = re.compile(
    r"empty folder: `mkdir (?P<name>try[\w-]*) && cd (?:\$_|try)(?P<demo> && planbalance demo --quiet)?`"
)


def named(page: Path) -> str:
    return os.fspath(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_shows_is_what_happens(page: Path, drawn: Path) -> None:
    """And a page whose commands change the folder begins by saying that it needs an empty one, as it has here.

    So pages can be followed in any order: each has its own folder, or changes nothing.
    """
    found = list(blocks(page))
    runs_the_demo = any("$ planbalance demo" in block.text for block in found)
    with reader(None if runs_the_demo else drawn) as session:
        before = files_in(session.folder)
        for block in found:
            session.do(block)
        changed = files_in(session.folder) != before
    if changed:
        told = begins_with(page)
        assert told, f"{named(page)} changes its folder: its first lines have to say {EMPTY_FOLDER.pattern!r}"
        assert runs_the_demo or told["demo"] or not any("planbalance-demo" in block.text for block in found)
    if session.lacking:
        pytest.skip(f"all but these was run, which are not installed: {', '.join(sorted(set(session.lacking)))}")


def begins_with(page: Path) -> re.Match[str] | None:
    """Return what a page says of the folder that it needs, before its first block that is run."""
    text = page.read_text(encoding="utf-8")
    first = next((block.line for block in blocks(page) if not block.reason), 0)
    return EMPTY_FOLDER.search("\n".join(text.splitlines()[: first or None]))


def files_in(folder: Path) -> dict[str, int]:
    """Return the files below a folder with the time of their last change, but those that Python and settings leave."""
    return {
        os.path.join(place, name): os.lstat(os.path.join(place, name)).st_mtime_ns
        for place, folders, names in os.walk(folder)
        for name in (*folders, *names)
        if ".config" not in place and name != ".config"
    }


def test_no_two_pages_have_the_same_folder() -> None:
    folders = [told["name"] for page in PAGES if (told := begins_with(page)) is not None]
    assert len(folders) > 20
    assert sorted(folders) == sorted(set(folders))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_blocks_are_of_a_known_kind_and_well_formed(page: Path) -> None:
    for block in blocks(page):
        where = f"{named(page)}:{block.line}"
        assert block.language in LANGUAGES, f"{where}: a block of {block.language or 'no language'}"
        if block.language == "text":
            assert not re.search(r"^(\$ |planbalance \w)", block.text, re.MULTILINE) or block.reason, (
                f"{where}: not run"
            )
        if block.language == "bash":
            assert block.reason, f"{where}: a block of bash is not run and has to say why"
        check_syntax(block)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_in_running_text_exist(page: Path) -> None:
    """`planbalance plan --seed 1` in a sentence names a command and options that are there."""
    for words in inline_commands(page):
        context = click.Context(cli)
        command = cli.get_command(context, words[1]) if words[1] in COMMANDS else None
        assert command is not None, f"{named(page)}: {shlex.join(words)}"
        known = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)}
        for word in words[2:]:
            option = word.partition("=")[0].replace("_", "-")
            assert not option.startswith("-") or option in known, f"{named(page)}: {shlex.join(words)}"


def inline_commands(page: Path) -> Iterator[list[str]]:
    text = re.sub(r"^\s*```.*?^\s*```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`(planbalance [a-z][^`\n]*)`", text):
        yield code.split()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_a_page_links_to_are_there(page: Path) -> None:
    """What mkdocs does not look at: the README's links, and those that leave docs/ (pages made by the build aside)."""
    made = {"changelog.md", "benchmarks.md", "reference/commands.md", "reference/messages.md"}
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        path = Path(os.path.normpath(page.parent / target))
        assert path.exists() or named(path).removeprefix("docs/") in made, f"{named(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_of_the_repository_that_a_page_names_are_there(page: Path) -> None:
    """`planbalance/naming/rules.py` in a sentence: a module that was renamed is renamed there too."""
    text = re.sub(r"^\s*```.*?^\s*```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for path in re.findall(r"`((?:planbalance|tests|docs|benchmarks)/[\w/.-]*(?:\.\w+|/))`", text):
        if "NAME" not in path:
            assert (REPOSITORY / path).exists(), f"{named(page)} names {path}"


def test_the_map_of_packages_names_each_of_them_once() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    mapped = [name.rstrip("/") for row in rows for name in re.findall(r"`([\w/]+)`", row)]
    there = [each.name for each in iter_modules(planbalance.__path__) if not each.name.startswith("_")]
    assert sorted(mapped) == sorted(there)


# ---- the tests of these tests ---------------------------------------------------------------------------------------


def page_of(tmp_path: Path, text: str) -> Session:
    (page := tmp_path / "page.md").write_text(text)
    with reader(None) as session:
        for block in blocks(page):
            session.do(block)
        return session


@pytest.mark.parametrize(
    "wrong",
    [
        "```console\n$ echo one\ntwo\n```",
        "```console\n$ echo one\none\nmore\n```",
        "```console\n$ false\n```",
        "```console\n$ false\n$ true\n```",
        "```console\n$ false\n$ echo $?\n0\n```",
        "```console\n$ planbalance scan nowhere\n```",
        "```console\n$ planbalance no-such-command\n```",
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(DocsError):
        page_of(tmp_path, wrong)


def test_a_page_that_is_right_passes(tmp_path: Path) -> None:
    session = page_of(
        tmp_path,
        """
```csv title="map.csv"
volume,group
```

<!-- not run: a reason -->
```console
$ false
```

    ```console
    $ cat \\
        map.csv  # a comment
    vol...group
    $ planbalance scan nowhere
    ...
    $ echo $?
    3
    $ no-such-program-here
    ```
""",
    )
    assert session.lacking == ["no-such-program-here"]


def test_elisions() -> None:
    assert as_pattern("a\n...\nz\n").fullmatch("a\nz\n")
    assert as_pattern("a\n...\nz\n").fullmatch("a\nb\nc\nz\n")
    assert as_pattern("in ... s\n").fullmatch("in 0.5 s\n")
    assert not as_pattern("in ... s\n").fullmatch("in 0.5\n s\n")
    assert not as_pattern("a\n").fullmatch("ab\n")
