# SPDX-License-Identifier: Apache-2.0
"""The web process as a server of HTTP: what attackers send (the transcripts of tests/attacks/http), connections that
are kept, and clients that are slow."""
import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import transcripts
from mailboat import PATIENCE, Mailboat, free_port, make_certificate, make_certificates

FOLDER = transcripts.FOLDER.parent / "http"
GET = b"GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n"
KEPT = 100  # connections of one client


class Site:
    def __init__(self, folder, certificates):
        self.ports = {False: free_port(), True: free_port()}
        self.certificates = certificates
        self.server = Mailboat(folder, certificates, extra=f"web: {{address: 127.0.0.1, port: {self.ports[False]}, tls_port: {self.ports[True]}}}\n").start()
        self.context = ssl.create_default_context(cafile=self.server.ca)

    def connect(self, secured=False):
        plain = socket.create_connection(("127.0.0.1", self.ports[secured]), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname="localhost") if secured else plain

    def client(self, secured=False):
        if secured:
            return http.client.HTTPSConnection("localhost", self.ports[True], context=self.context, timeout=PATIENCE)
        return http.client.HTTPConnection("127.0.0.1", self.ports[False], timeout=PATIENCE)


class Slow(threading.Thread):
    """A client that takes longer than others: it runs beside the other tests. `outcome`: what it got in the end, and after how many seconds."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act, self.outcome, self.seconds = act, None, None
        self.start()

    def run(self):
        started = time.monotonic()
        self.outcome = self.act()
        self.seconds = time.monotonic() - started

    def result(self):
        self.join(4 * PATIENCE)
        return self.outcome, self.seconds


def drip(site, secured, beginning):
    """Sends one octet a second; returns what the server says in the end."""
    with site.connect(secured) as sock:
        sock.sendall(beginning)
        sock.settimeout(1)
        heard = b""
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"y")
                with contextlib.suppress(TimeoutError):
                    more = sock.recv(4096)
                    heard += more
                    if not more:
                        break
        return heard


def read_nothing(site):
    """Sends requests, and reads no answer, until the server ends the connection."""
    with site.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            while True:
                sock.sendall(GET * 50)
        except TimeoutError:
            return "still there"
        except OSError:
            return "ended"


def keep_idle(site):
    """Two requests on one connection, with a silence between them that is longer than a header may take."""
    client = site.client()
    statuses = []
    for _ in range(2):
        client.request("GET", "/", headers={"Host": "mx.example.org"})
        answer = client.getresponse()
        answer.read()
        statuses.append((answer.status, answer.headers["Connection"], client.sock is not None))
        if len(statuses) == 1:
            time.sleep(13)  # the silence is the subject
    return statuses


@pytest.fixture(scope="module")
def site(tmp_path_factory, certificates):
    site = Site(tmp_path_factory.mktemp("http"), certificates)
    post = b"POST /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: mx.example.org\r\n"
    site.slow = {
        "header": Slow(lambda: drip(site, False, b"GET / HTTP/1.1\r\nHost: mx.example.org\r\nX: ")),
        "header in TLS": Slow(lambda: drip(site, True, b"GET / HTTP/1.1\r\nHost: mx.example.org\r\nX: ")),
        "body": Slow(lambda: drip(site, False, post + b"Content-Length: 5000\r\n\r\n")),
        "unread": Slow(lambda: read_nothing(site)),
        "idle": Slow(lambda: keep_idle(site)),
    }
    yield site
    site.server.stop()


# ---- what attackers send ----

class Conversation:
    def __init__(self, site, secured, pieces):
        self.sock, self.pieces, self.said, self.heard = site.connect(secured), pieces, b"", b""

    def flush(self):
        said, self.said = self.said, b""
        with contextlib.suppress(OSError):  # it may have closed already
            for at in range(0, len(said), self.pieces or max(len(said), 1)):
                self.sock.sendall(said[at:at + (self.pieces or len(said))])

    def more(self):
        got = self.sock.recv(65536)
        self.heard += got
        return got

    def head(self):
        """Returns the status and the fields of an answer; each field is there once."""
        self.flush()
        while b"\r\n\r\n" not in self.heard:
            assert self.more(), "no answer"
        head, _, self.heard = self.heard.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        fields = [line.partition(b": ")[::2] for line in lines]
        assert status.startswith(b"HTTP/1.1 ") and len(dict(fields)) == len(fields)
        return status[9:12], dict(fields)

    def body(self, fields):
        length = int(fields[b"Content-Length"])
        while len(self.heard) < length:
            assert self.more(), "half an answer"
        self.heard = self.heard[length:]

    def ends(self):
        """Checks that the connection ends without another answer."""
        with contextlib.suppress(ConnectionResetError):
            while self.more():
                pass
        assert self.heard == b""


def play(site, dialogue, secured, pieces):
    talk = Conversation(site, secured, pieces)
    with talk.sock:
        for number, mark, text in dialogue.lines:
            where = f"{dialogue.title}, line {number}"
            if mark in (b"C:", b"C-"):
                talk.said += text + (b"\r\n" if mark == b"C:" else b"")
            elif mark in (b"S:", b"S=", b"S-"):
                status, fields = talk.head()
                wanted, _, then = text.partition(b" ")
                assert status == wanted, f"{where}: {status}"
                if mark == b"S-":
                    continue
                if mark == b"S:":
                    talk.body(fields)
                assert fields[b"Connection"] == {b"keeps": b"keep-alive", b"closes": b"close"}[then], where
                if then == b"closes":
                    talk.ends()
                    return
        assert talk.heard == b"", dialogue.title
        # what was kept is in step: one more request has one more answer
        talk.said += GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        status, fields = talk.head()
        assert (status, fields[b"Connection"]) == (b"200", b"close"), dialogue.title
        talk.body(fields)
        talk.ends()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.http")), ids=lambda path: path.stem)
@pytest.mark.parametrize("secured, pieces", [(False, 0), (False, 7), (True, 0), (True, 97)], ids=["at once", "in pieces", "TLS", "TLS in pieces"])
def test_nothing_comes_of_it(site, path, secured, pieces):
    played = [dialogue for dialogue in transcripts.dialogues(path) if all(mark != b"!" for _, mark, _ in dialogue.lines)]
    for dialogue in played:
        play(site, dialogue, secured, pieces)
    assert len(played) >= 8 and not site.server.lines("process_died")


# ---- connections that are kept ----

def curl(*arguments):
    return subprocess.run(["curl", "-s", "-S", *map(str, arguments)], capture_output=True, check=True, timeout=60, text=True).stdout


@pytest.mark.parametrize("secured", [False, True], ids=["clear", "TLS"])
def test_curl_keeps_its_connection(site, secured):
    host = f"{'https' if secured else 'http'}://localhost:{site.ports[secured]}"
    trust = ["--cacert", site.server.ca, "-4", "-H", "Host: mx.example.org", "-o", os.devnull]
    said = curl("-w", "%{http_code} %{num_connects}\n", *trust, f"{host}/", *trust, f"{host}/nothing", *trust, f"{host}/")
    assert said.splitlines() == ["200 1", "404 0", "200 0"]
    assert curl("-I", "-4", "-k", "-H", "Host: mx.example.org", f"{host}/").startswith("HTTP/1.1 200 OK")


def test_curl_waits_for_100_continue(site):
    where = f"http://127.0.0.1:{site.ports[False]}/autodiscover/autodiscover.xml"
    said = curl("-v", "--stderr", "-", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "--data-binary", "x" * 5000, where)
    assert "HTTP/1.1 100 Continue" in said and "HTTP/1.1 200 OK" in said
    said = curl("-v", "--stderr", "-", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "--data-binary", "x" * 9000, where)
    assert "100 Continue" not in said and "HTTP/1.1 413 " in said


def test_methods_and_fields(site):
    client = site.client()
    for method, path, status, allow in (("PUT", "/", 405, "GET, HEAD"), ("POST", "/", 405, "GET, HEAD"), ("DELETE", "/autodiscover/autodiscover.xml", 405, "GET, HEAD, POST"),
                                        ("GET", "/", 200, None)):
        client.request(method, path, headers={"Host": "mx.example.org"})
        answer = client.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Allow"], answer.headers["Connection"], answer.headers["Keep-Alive"]) == (status, allow, "keep-alive", "timeout=65")
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Date"].endswith(" GMT")


def test_a_large_body_is_refused_before_it_is_read(site):
    """The client, which sends all of it first, gets the answer."""
    with site.connect() as sock:
        sock.sendall(b"POST /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: mx.example.org\r\nContent-Length: 3000000\r\n\r\n")
        sock.sendall(b"x" * 3000000)
        assert sock.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("secured", [False, True], ids=["clear", "TLS"])
def test_one_client_keeps_a_hundred_connections(site, secured):
    clients = [site.client(secured) for _ in range(KEPT)]
    sockets = set()
    for _ in range(3):
        for client in clients:
            client.request("GET", "/", headers={"Host": "mx.example.org"})
        for client in clients:
            answer = client.getresponse()
            assert answer.status == 200 and answer.read()
            sockets.add(client.sock.fileno())
    assert len(sockets) == KEPT
    for client in clients:
        client.close()


def test_the_process_holds_little(site):
    """Hundreds of requests that are never whole, of the largest size, cost no more than what they sent."""
    pid, = site.server.processes()["web"]

    def resident():
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    before = resident()
    half = b"GET / HTTP/1.1\r\nHost: mx.example.org\r\nX: " + b"y" * 16000
    held = [site.connect() for _ in range(300)]
    for sock in held:
        sock.sendall(half)
    with site.connect() as last:
        last.sendall(GET)
        assert last.recv(100).startswith(b"HTTP/1.1 200 ")
    assert resident() - before < 300 * 32 * 1024
    for sock in held:
        sock.close()


# ---- a reload ----

def serial_of(sock):
    return sock.getpeercert()["serialNumber"]


def test_a_reload_changes_the_certificate_and_cuts_nobody_off(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    site = Site(tmp_path / "server", make_certificates(folder))
    try:
        client = site.client(secured=True)
        client.request("GET", "/", headers={"Host": "mx.example.org"})
        client.getresponse().read()
        kept = client.sock
        before = serial_of(kept)
        make_certificate(folder, folder, "server", "localhost", "mx.example.org", "127.0.0.1")
        since, old, = len(site.server.log), site.server.processes()["web"]
        site.server.process.send_signal(signal.SIGHUP)
        site.server.wait_log("reloaded", since=since)
        deadline = time.monotonic() + PATIENCE
        while True:  # the old process may still accept for a moment
            with site.connect(secured=True) as sock:
                if serial_of(sock) != before:
                    break
            assert time.monotonic() < deadline
        assert client.sock is kept and serial_of(kept) == before
        client.request("GET", "/", headers={"Host": "mx.example.org"})
        answer = client.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (200, "close") and answer.read()
        while set(site.server.processes()["web"]) & set(old):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not site.server.lines("process_died")
    finally:
        site.server.stop()


# ---- slow clients: last, since they have been at it all the while ----

@pytest.mark.parametrize("who", ["header", "header in TLS", "body"])
def test_octet_by_octet_gains_no_time(site, who):
    heard, seconds = site.slow[who].result()
    assert heard.startswith(b"HTTP/1.1 408 ") and b"\r\nConnection: close\r\n" in heard and heard.count(b"HTTP/1.1") == 1
    assert seconds >= 9


def test_answers_that_are_not_read_end_the_connection(site):
    assert site.slow["unread"].result()[0] == "ended"


def test_silence_between_requests_is_no_fault(site):
    assert site.slow["idle"].result()[0] == [(200, "keep-alive", True)] * 2
