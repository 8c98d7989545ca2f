"""Ask every address that README, docs and the package's own texts name whether it is there: `make links`.

It needs the network, so it is no part of `make docs` or of CI; links inside the repository are checked there.
"""

import http.client
import re
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
TEXTS: Final = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml", "benchmarks/README.md", "docs/**/*.md")
_ADDRESS: Final = re.compile(r"https?://[^\s<>\"'`)\]}|\\]+")
_SECONDS: Final = 20.0
_NO_SUCH_METHOD: Final = frozenset((400, 403, 405, 501))  # some servers refuse to be asked without sending the page
# Not asked: they are examples.
_EXAMPLES: Final = re.compile(r"https?://(localhost|127\.|example\.)")


def addresses(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, address) of a text; a fragment is the page's own matter, and a full stop the sentence's."""
    for number, line in enumerate(text.splitlines(), start=1):
        for found in _ADDRESS.findall(line):
            address = found.partition("#")[0].rstrip(".,;:!?*_")
            if not _EXAMPLES.match(address):
                yield number, address


def named_in(root: Path) -> dict[str, list[str]]:
    """Return every address with the places that name it."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted({path for pattern in TEXTS for path in root.glob(pattern)}):
        for line, address in addresses(path.read_text(encoding="utf-8")):
            places[address].append(f"{path.relative_to(root)}:{line}")
    return dict(places)


def fault_of(address: str) -> str:
    """Return why an address does not answer, "" where it does."""
    for method in ("HEAD", "GET"):
        request = urllib.request.Request(address, method=method, headers={"User-Agent": "planbalance-links"})
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            if method == "GET" or error.code not in _NO_SUCH_METHOD:
                return f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            return str(getattr(error, "reason", error))
    raise AssertionError("both methods answer or return")


def broken(places: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield a line for each address that does not answer, with who names it."""
    for address in sorted(places):
        fault = fault_of(address)
        if fault:
            yield f"{address}: {fault} (in {', '.join(places[address])})"


def main() -> None:
    """Ask all, say which do not answer, and exit 1 for any."""
    places = named_in(REPOSITORY)
    faults = list(broken(places))
    for fault in faults:
        print(fault)  # noqa: T201 - a script
    print(f"{len(places)} addresses, {len(faults)} of them broken")  # noqa: T201 - a script
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
