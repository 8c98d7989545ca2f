"""What is handed out: wheel and sdist as an index wants them, and a wheel that does the job in a bare environment."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import planbalance

REPOSITORY = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# One worker builds, once.
together = [pytest.mark.packaging, pytest.mark.xdist_group("packaging")]


def ran(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with wheel and sdist; the wheel is built from the sdist, as a packager would."""
    for tool in ("build", "hatchling", "twine", "check_wheel_contents"):
        pytest.importorskip(tool)
    folder = tmp_path_factory.mktemp("dist")
    done = ran(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, REPOSITORY, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def wheel_of(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


class TestBuilt:
    """The two files, built once."""

    pytestmark = together

    def test_an_index_would_take_them(self, dist: Path) -> None:
        done = ran(sys.executable, "-m", "twine", "check", "--strict", *sorted(dist.iterdir()), cwd=dist)
        assert done.returncode == 0, done.stdout
        done = ran(sys.executable, "-m", "check_wheel_contents", wheel_of(dist), cwd=dist)
        assert done.returncode == 0, done.stdout

    def test_the_wheel_holds_the_package_and_nothing_else(self, dist: Path) -> None:
        names = set(zipfile.ZipFile(wheel_of(dist)).namelist())
        package = Path(planbalance.__file__).parent
        ours = {
            os.fspath(path.relative_to(package.parent))
            for path in package.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert {name for name in names if ".dist-info/" not in name} == ours
        assert any(name.endswith("/licenses/LICENSE") for name in names)
        assert {"planbalance/py.typed", "planbalance/page/templates/page.html"} <= names

    def test_the_sdist_holds_what_is_needed_to_test_it(self, dist: Path) -> None:
        (sdist,) = dist.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        for needed in (
            "README.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "CITATION.cff",
            "LICENSE",
            "Makefile",
            "docs/index.md",
            "mkdocs.yml",
        ):
            assert needed in names
        assert {"tests/builders.py", "tests/lowest.txt", "docs/pictures/plan.svg"} <= names
        assert not [name for name in names if name.startswith((".", "shared"))] or names & {".gitignore"}

    def test_the_wheel_alone_does_the_job_in_a_bare_environment(self, dist: Path, tmp_path: Path) -> None:
        bare = tmp_path / "bare"
        assert ran(sys.executable, "-m", "venv", "--without-pip", bare, cwd=tmp_path).returncode == 0
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
        wheels = tmp_path / "wheels"
        fetched = ran(*pip, "download", "--quiet", "--dest", wheels, *PROJECT["dependencies"], cwd=tmp_path)
        if fetched.returncode != 0:
            pytest.skip(f"the dependencies cannot be had today: {fetched.stderr.strip()[-300:]}")
        inside = bare / "bin/python"
        done = ran(
            *(*pip, "--python", inside, "install", "--quiet", "--no-index", "--find-links", wheels, wheel_of(dist)),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        program = bare / "bin/planbalance"
        # Without the extra there is no page; the demo does the rest, and so does the module.
        from_a_script = ran(program, "demo", "--quiet", cwd=tmp_path)
        assert from_a_script.returncode == 0, from_a_script.stderr
        for words in ((program, "verify"), (inside, "-m", "planbalance", "verify")):
            done = ran(*words, "planbalance-demo/balanced_knee_mri", "--quiet", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        version = ran(program, "--version", cwd=tmp_path).stdout
        assert version.startswith(f"planbalance {PROJECT['version']}\n")
        refused = ran(program, "report", "planbalance-demo/plan.json", "--html", "page.html", cwd=tmp_path)
        assert (refused.returncode, "planbalance[report]" in refused.stderr) == (2, True)


def test_every_lower_bound_is_tested() -> None:
    """What `make test-lowest` installs are the lower bounds of pyproject.toml, to the digit."""
    wanted = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    lowest = dict(
        line.split("==")
        for line in (REPOSITORY / "tests/lowest.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    for requirement in wanted:
        name, _, bound = requirement.partition(">=")
        name = name.partition("[")[0]
        assert bound, f"{requirement} has no lower bound"
        assert lowest.get(name) == bound, f"{requirement}, and tests/lowest.txt says {lowest.get(name)}"


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "\n## Unreleased\n" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
