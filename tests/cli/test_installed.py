"""A missing extra is answered with the command that adds it to this installation, whatever installed it."""

import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import planbalance
from planbalance.cli import installed
from planbalance.cli.failures import failure_of
from planbalance.cli.installed import Installation, install_command, this_installation, with_commands
from planbalance.cli.version import requirements
from planbalance.errors import InputError, UsageError

SOURCES = Path(str(planbalance.__file__)).resolve().parent
PYTHON = "/envs/x/bin/python"
WHEEL = "file:///dist/planbalance-0.3.0-py3-none-any.whl"
RECEIPT = '[tool]\nrequirements = [{ name = "planbalance", extras = ["dicom"] }, { name = "other" }]\n'


@pytest.mark.parametrize(
    ("marks", "here", "command"),
    [
        ({}, {"is_active": True}, "python -m pip install 'planbalance[report]'"),
        ({}, {}, f"{PYTHON} -m pip install 'planbalance[report]'"),
        ({}, {"options": ("--user",)}, f"{PYTHON} -m pip install --user 'planbalance[report]'"),
        ({}, {"source": "/src/plan balance", "is_active": True},
         "python -m pip install -e '/src/plan balance[report]'"),
        ({"pipx_metadata.json": "{}"}, {"url": WHEEL}, "pipx runpip {name} install 'planbalance[report]'"),
        ({"uv-receipt.toml": ""}, {}, "uv tool install 'planbalance[report]'"),
        ({"uv-receipt.toml": RECEIPT}, {"has_pip": False}, "uv tool install 'planbalance[dicom,report]'"),
        ({"uv-receipt.toml": RECEIPT}, {"url": WHEEL}, f"uv tool install 'planbalance[dicom,report] @ {WHEEL}'"),
        ({"uv-receipt.toml": ""}, {"url": "file:///src", "source": "/src"}, "uv tool install -e '/src[report]'"),
        ({}, {"has_pip": False}, f"uv pip install --python {PYTHON} 'planbalance[report]'"),
        ({}, {"has_pip": False, "source": "/src"}, f"uv pip install --python {PYTHON} -e '/src[report]'"),
    ],
)  # fmt: skip
def test_the_command_fits_the_installation(
    tmp_path: Path, marks: dict[str, str], here: dict[str, object], command: str
) -> None:
    for name, text in marks.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    installation = Installation(str(tmp_path), PYTHON)._replace(**here)  # type: ignore[arg-type]  # the fields above
    assert install_command("report", installation) == command.format(name=tmp_path.name)


@pytest.mark.parametrize("extra", sorted(set(requirements()) - {""}))
def test_each_extra_has_its_command_here(extra: str) -> None:
    said = failure_of(
        UsageError("It needs more.", kind="extra-missing", hint=f"pip install 'planbalance[{extra}]'"), "plan"
    )
    assert said.hint == install_command(extra)
    assert said.message == f"It needs more: `{said.hint}` installs it."


def test_every_hint_for_an_extra_in_the_code_is_recognised_and_names_an_extra() -> None:
    known = set(requirements())
    for path in SOURCES.rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "pip install 'planbalance[" in line and path.name != "installed.py":
                (extra,) = installed._HINT.findall(line)
                assert extra in known, f"{path.name}: {line}"


def test_an_extra_in_the_middle_of_a_message_is_answered_too() -> None:
    error = InputError("1 slice needs pip install 'planbalance[import-compressed]'.", kind="pixels")
    assert failure_of(error, "import").message == f"1 slice needs {install_command('import-compressed')}."
    assert with_commands("nothing to install") == "nothing to install"


class Installed:
    """A distribution that says what its files say."""

    def __init__(self, document: object, folder: Path) -> None:
        self._document, self._folder = document, folder

    def read_text(self, name: str) -> str | None:
        return json.dumps(self._document) if name == "direct_url.json" and self._document is not None else None

    def locate_file(self, name: str) -> Path:
        return self._folder / name


@pytest.mark.parametrize(
    ("document", "source", "url"),
    [
        (None, "", ""),
        ({"url": WHEEL, "archive_info": {}}, "", WHEEL),
        ({"url": "file:///my%20src", "dir_info": {"editable": True}}, "/my src", "file:///my%20src"),
        ([], "", ""),
        ({"url": "file:///src", "dir_info": None}, "", ""),
    ],
)
def test_where_it_was_installed_from_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: object, source: str, url: str
) -> None:
    monkeypatch.setattr(installed, "distribution", lambda _name: Installed(document, tmp_path))
    here = this_installation()
    assert (here.source, here.url, here.python) == (source, url, sys.executable)


def test_without_metadata_it_is_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "distribution", absent)
    root = SOURCES.parent
    assert this_installation().source == (str(root) if (root / "pyproject.toml").is_file() else "")


def test_outside_of_an_environment_pip_gets_the_options_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "distribution", lambda _name: Installed(None, tmp_path))
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr("site.getusersitepackages", lambda: str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    assert this_installation().options == ("--user",)
    (tmp_path / "EXTERNALLY-MANAGED").write_bytes(b"")
    assert this_installation().options == ("--user", "--break-system-packages")
