"""`make links` asks the network; here it asks a server of this process."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.builders import write
from tests.docs.places import DOCS
from tests.docs.scripts import script

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not here")


class Site(BaseHTTPRequestHandler):
    """`/page` is there, `/moved` leads to it, `/shy` only sends whole pages, `/wall` refuses everybody."""

    def do_HEAD(self) -> None:
        self.answer({"/page": 200, "/moved": 301, "/shy": 405, "/wall": 403}.get(self.path, 404))

    def do_GET(self) -> None:
        self.answer({"/page": 200, "/shy": 200, "/wall": 403}.get(self.path, 404))

    def answer(self, code: int) -> None:
        self.send_response(code)
        if code == 301:
            self.send_header("Location", "/page")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "fault"),
    [("/page", ""), ("/moved", ""), ("/shy", ""), ("/gone", "404 Not Found"), ("/wall", "403 Forbidden")],
)
def test_an_address_answers_or_says_why_not(site: str, path: str, fault: str) -> None:
    assert script("links").fault_of(site + path) == fault


def test_a_host_that_is_not_there_is_told() -> None:
    assert "refused" in script("links").fault_of("http://127.0.0.1:9/page")


def test_addresses_are_found_where_texts_name_them(tmp_path: Path) -> None:
    write(tmp_path / "README.md", b"[a](https://a.org/x#part), and https://b.org/y.\n\n<https://c.org>\n")
    write(tmp_path / "docs/how-to/page.md", b"`https://b.org/y` and http://localhost:8786\n")
    write(tmp_path / "docs/data.json", b'"https://d.org"')
    assert script("links").named_in(tmp_path) == {
        "https://a.org/x": ["README.md:1"],
        "https://b.org/y": ["README.md:1", "docs/how-to/page.md:1"],
        "https://c.org": ["README.md:3"],
    }


def test_only_what_is_broken_is_told_with_its_places(site: str) -> None:
    places = {f"{site}/page": ["README.md:1"], f"{site}/gone": ["README.md:2", "docs/index.md:3"]}
    assert list(script("links").broken(places)) == [f"{site}/gone: 404 Not Found (in README.md:2, docs/index.md:3)"]


def test_the_repository_names_addresses_at_all() -> None:
    """Else a slip in the patterns would make every link good."""
    assert "https://semver.org" in script("links").named_in(DOCS.parent)
