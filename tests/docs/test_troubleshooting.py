"""The messages in the docs are the ones in the code, and the JSON keys the ones that are printed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import planbalance
from planbalance.import_model import STATES
from tests.cli.command import run_json
from tests.docs.places import DOCS
from tests.docs.scripts import script
from tests.importing.raw_study import write_study

SOURCES = Path(planbalance.__file__).parent
# What an audit says of one dataset: figures in place of `…`.
SAID_BY_AN_AUDIT = {"100 % of test slices share a volume with train"}

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not here")


def reference() -> ModuleType:
    return script("reference")


def templates() -> Iterator[str]:
    """Yield every text of the sources, `…` for what is filled in."""
    template_of = reference()._template
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp):
                yield " ".join(template_of(node).split())


def test_each_heading_is_a_message_of_the_code() -> None:
    known = list(templates())
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert len(headings) > 20
    for heading in headings:
        if heading not in SAID_BY_AN_AUDIT:
            wanted = heading.rstrip("… ") if heading.endswith(("by …", "of …")) else heading
            assert any(wanted in each for each in known), f"no message of the code reads: {heading}"


def test_every_refusal_has_a_row_and_every_exit_code_a_line() -> None:
    module = reference()
    page = module.messages()
    assert len(module.refusals()) > 100
    assert {each.exit_code for each in module.refusals()} >= {2, 3, 4, 5}
    for each in module.refusals():
        assert f"| `{each.kind}` |" in page
    for code in (0, 1, 2, 3, 4, 5, 6, 130):
        assert f"\n| {code} | " in page


def test_every_option_of_every_command_is_in_the_reference() -> None:
    module = reference()
    page = module.commands()
    context = module.click.Context(module.cli)
    for name in module.COMMANDS:
        command = module.cli.get_command(context, name)
        assert f"\n## {name}\n" in page
        for parameter in command.params:
            if isinstance(parameter, module.click.Option) and not parameter.hidden:
                assert any(option in page for option in parameter.opts)


def keys_in_the_docs(section: str) -> set[str]:
    page = (DOCS / "reference/json.md").read_text(encoding="utf-8")
    body = re.split(r"^## ", page, flags=re.MULTILINE)
    (found,) = (each for each in body if each.startswith(f"{section}\n"))
    cells = re.findall(r"^\| (`[^|]+) \|", found, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


def test_the_json_keys_in_the_docs_are_those_that_are_printed(tmp_path: Path, drawn: Path) -> None:
    built = run_json("build", drawn, "--output", tmp_path / "out", "--mode", "symlink")
    for command in ("plan", "apply", "verify"):
        assert keys_in_the_docs(command) == set(built[command])
    assert keys_in_the_docs("scan") == set(run_json("scan", drawn))


def test_the_json_keys_of_an_import_are_those_that_are_printed(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    options = ("--sources", study.toml, "--group-key", tmp_path / "key", "--plan-file", tmp_path / "import.json")
    printed = run_json("import", *options, "--output", tmp_path / "out")
    assert keys_in_the_docs("import") == set(printed)
    page = (DOCS / "reference/json.md").read_text(encoding="utf-8")
    section = page[page.index("\n## import\n") : page.index("\n## verify\n")]
    for key in ("summary", "sources", "volumes"):
        one = printed[key] if key == "summary" else printed[key][0]
        assert set(one) - set(STATES) <= set(re.findall(r"`(\w+)`", line_of(section, key))), key
    shown = run_json("show", tmp_path / "import.json", "--volume", "knee0")
    assert set(shown["slices"][0]) <= set(re.findall(r"`(\w+)`", section[section.index("`show --volume`") :]))


def test_the_json_keys_of_the_other_commands_are_all_in_the_docs(tmp_path: Path, drawn: Path) -> None:
    plan = tmp_path / "plan.json"
    run_json("build", drawn, "--output", tmp_path / "out", "--mode", "symlink", "--plan-file", plan)
    page = (DOCS / "reference/json.md").read_text(encoding="utf-8")
    volume = run_json("show", plan, "--csv")["volumes"][0]["volume"]
    shown = run_json("show", plan, "--volume", volume)
    for answer, row in (
        (shown, page[page.index("`show --volume`") :]),
        (run_json("diff", plan, plan), line_of(page, "diff")),
        (run_json("report", plan, "--html", tmp_path / "page.html"), line_of(page, "report")),
        (run_json("report", plan, "--format", "md", "--output", "-"), line_of(page, "report")),
        (run_json("export", plan), line_of(page, "export")),
        (run_json("relocate", tmp_path / "out"), line_of(page, "relocate")),
        (run_json("clean", tmp_path), line_of(page, "clean")),
        (run_json("slurm", plan, "--nodes", "2", "--into", tmp_path), line_of(page, "slurm")),
        (run_json("tune", tmp_path), line_of(page, "tune")),
    ):
        assert set(answer) <= set(re.findall(r"`(\w+)`", row))


def line_of(page: str, command: str) -> str:
    """Return the row of a command in the table of all others."""
    (found,) = re.findall(rf"^\| `{command}` \|.*$", page, re.MULTILINE)
    return str(found)
