"""MkDocs hooks: pages that are generated from the code, or that live elsewhere in the repository."""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE))

import reference  # noqa: E402 - beside this file, which is no package

ELSEWHERE = {"changelog.md": "CHANGELOG.md", "benchmarks.md": "benchmarks/README.md"}


def on_files(files: Files, config: Any) -> Files:  # noqa: ANN401 - mkdocs' signature
    """Add the generated pages and the ones from outside docs/."""
    pages = {path: (REPOSITORY / source).read_text(encoding="utf-8") for path, source in ELSEWHERE.items()}
    pages |= {"reference/commands.md": reference.commands(), "reference/messages.md": reference.messages()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 - mkdocs' signature
    """Leave out the notes that are for the tests of the docs alone."""
    return re.sub(r"^[ \t]*<!-- .*? -->\n", "", markdown, flags=re.MULTILINE)
