"""Downloads from a server on this machine: whole, checked, once, resumed."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jaxseg.interop import download as module
from jaxseg.interop.download import download

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT, and breaks off after `server.limit` bytes."""

    def do_GET(self):
        span = self.headers.get("Range")
        self.server.ranges.append(span)
        if "missing" in self.path:
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        if not self.server.takes_ranges:
            start = 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.server.limit])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges, server.takes_ranges, server.limit = [], True, None
    server.url = f"http://127.0.0.1:{server.server_port}/net-{DIGEST[:8]}.pth"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def part_of(server, tmp_path):
    folder = tmp_path / "jaxseg" / "weights"
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    (tmp_path / "jaxseg").chmod(0o700)
    return folder / f"{server.url.rsplit('/', 1)[-1]}.part"


def test_downloads_once(server, tmp_path):
    path = download(server.url)
    assert path.read_bytes() == CONTENT
    assert download(server.url) == path
    assert server.ranges == [None]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("takes_ranges", [True, False])
def test_goes_on_from_a_part(server, tmp_path, takes_ranges):
    server.takes_ranges = takes_ranges
    part_of(server, tmp_path).write_bytes(CONTENT[:1000])
    assert download(server.url, sha256=DIGEST).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_connects_again_when_the_connection_breaks_off(server):
    server.limit = 4000
    assert download(server.url).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=4000-", "bytes=8000-"]


def test_keeps_what_arrived_when_no_more_arrives(server, tmp_path):
    part = part_of(server, tmp_path)
    part.write_bytes(CONTENT[:1000])
    server.limit = 0
    with pytest.raises(ValueError, match="goes on from there"):
        download(server.url)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_wrong_part_is_refused_and_removed(server, tmp_path):
    part = part_of(server, tmp_path)
    part.write_bytes(b"x" * len(CONTENT))  # as long as the file: the server has no more
    with pytest.raises(ValueError, match="has the SHA-256"):
        download(server.url)
    assert not part.exists()
    assert download(server.url).read_bytes() == CONTENT


def test_a_damaged_file_is_downloaded_again(server):
    path = download(server.url)
    path.write_bytes(b"damaged")
    assert download(server.url).read_bytes() == CONTENT


def test_messages(server, monkeypatch):
    with pytest.raises(ValueError, match="404"):
        download(server.url.replace("/net", "/missing"))
    with pytest.raises(ValueError, match="give sha256"):
        download("http://127.0.0.1/net.pth")
    monkeypatch.setattr(module, "_TIMEOUT", 1.0)
    with pytest.raises(ValueError, match=r"cannot be reached.*put it at"):
        download("http://127.0.0.1:9/net-00000000.pth")
