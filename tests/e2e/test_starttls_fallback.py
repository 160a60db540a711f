# SPDX-License-Identifier: Apache-2.0
"""Servers that offer STARTTLS without working TLS, and text injected after the reply to STARTTLS. If TLS is
not required, the first are tried again and then without TLS; the second never lead to plain text. If TLS is
required, neither does."""
import socket
import socketserver
import ssl
import struct
import threading
import time

import pytest

from faults import Board
from mailboat import PATIENCE, Mailboat, run, until

ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal handshake_failure (RFC 8446 6)
HELLO = b"250-peer\r\n250 STARTTLS\r\n"


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Peer(socketserver.ThreadingTCPServer):
    """Offers STARTTLS; `after(connection, peer)` gets the connection when 220
    is due. `said` has the plain text lines of each connection, `letters` the
    messages, "clear" or "tls", `ended` the number of ended connections."""
    allow_reuse_address = daemon_threads = True
    block_on_close = False

    def __init__(self, after, hello=HELLO, once=False):
        super().__init__(("127.0.0.1", 0), Session)
        self.after, self.hello, self.once = after, hello, once
        self.said, self.letters, self.ended = [], [], 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def close(self):
        self.shutdown()
        self.server_close()


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        lines = []
        self.server.said.append(lines)
        try:
            self.talk(self.request, lines, "clear", b"220 peer\r\n")
        except (OSError, ValueError):
            pass
        self.server.ended += 1

    def talk(self, connection, lines, how, greeting):
        peer = self.server
        connection.sendall(greeting)
        stream = connection.makefile("rb")
        while line := stream.readline():
            lines.append(line)
            verb = line[:4].upper()
            if verb == b"EHLO":
                connection.sendall(peer.hello if how == "clear" else b"250 peer\r\n")
            elif line.upper().startswith(b"STARTTLS"):
                secured = peer.after(connection, peer)
                return self.talk(secured, lines, "tls", b"") if secured else None
            elif verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                while stream.readline() not in (b".\r\n", b""):
                    pass
                peer.letters.append(how)
                connection.sendall(b"250 taken\r\n")
            elif verb == b"QUIT":
                return connection.sendall(b"221 bye\r\n")
            else:
                connection.sendall(b"250 ok\r\n")


def says(octets, end=None):
    """Sends 220 and more in one segment, or each of several in its own."""
    def after(connection, peer):
        for piece in octets if isinstance(octets, list) else [octets]:
            connection.sendall(piece)
            if isinstance(octets, list):
                time.sleep(0.1)  # its own segment: no event shows when the other side has read one
        (end or swallow)(connection)
    return after


def swallow(connection):
    """Returns the client's commands until it disconnects."""
    connection.settimeout(PATIENCE)
    while connection.recv(4096):
        pass


def after_hello(octets, end=None):
    """Sends 220, then these in answer to the ClientHello."""
    def after(connection, peer):
        connection.sendall(b"220 go\r\n")
        connection.recv(4096)
        connection.sendall(octets)
        (end or swallow)(connection)
    return after


def secured(connection, peer, then=None, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(peer.certificates / "server.pem", peer.certificates / "server.key")
    for name, value in options.items():
        getattr(context, name)(*value)
    connection.sendall(b"220 go\r\n")
    tls = context.wrap_socket(connection, server_side=True)
    if then:
        return then(tls)
    return tls


def close(connection):
    connection.close()


def read_then(end):
    def then(tls):
        tls.recv(4096)  # EHLO
        end(tls)
    return then


def first_time(broken):
    """Behaves like this once, then correctly."""
    def after(connection, peer):
        if len(peer.said) == 1:
            return broken(connection, peer)
        return secured(connection, peer)
    return after


# TLS cannot be established: one retry, then without TLS.
BROKEN = {
    "closes": says(b"220 go\r\n", close),
    "resets": says(b"220 go\r\n", reset),
    "closes-without-220": says(b"", close),
    "closes-after-hello": after_hello(b"", close),
    "resets-after-hello": after_hello(b"", reset),
    "alert": after_hello(ALERT),
    "alert-and-close": after_hello(ALERT, close),
    "broken-record": after_hello(b"\x16\x03\x03\x00\x10" + b"\xff" * 16),
    "another-version": after_hello(b"\x16\x09\x09\x00\x10" + b"\xff" * 16),
    "garbage": after_hello(b"\x00\x01\x02\xff" * 40),
    "no-shared-cipher": lambda c, p: secured(c, p, set_ciphers=("ADH-AES128-SHA256:@SECLEVEL=0",), __setattr__=("maximum_version", ssl.TLSVersion.TLSv1_2)),
    "closes-at-ehlo": lambda c, p: secured(c, p, read_then(close)),
    "resets-at-ehlo": lambda c, p: secured(c, p, read_then(reset)),
    "closes-after-handshake": lambda c, p: secured(c, p, close),
}
# Plain text injected after 220: never without TLS. (NO STARTTLS, Poddebniak et al. 2021; CVE-2021-38371.)
INJECTED = {
    "same-segment": says(b"220 go\r\n250 ok\r\n"),
    "whole-dialogue": says(b"220 go\r\n250-peer\r\n250 AUTH PLAIN\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"),
    "half-a-line": says(b"220 go\r\n25"),
    "one-octet": says(b"220 go\r\n2"),
    "empty-line": says(b"220 go\r\n\r\n"),
    "second-220": says(b"220 go\r\n220 go again\r\n"),
    "refusal-behind": says(b"220 go\r\n454 4.7.0 no TLS\r\n"),
    "after-several-lines": says(b"220-go\r\n220-on\r\n220 now\r\n250 ok\r\n"),
    "later-segment": says([b"220 go\r\n", b"250 ok\r\n"]),
    "later-octet": says([b"220 go\r\n", b"2"]),
    "later-refusal": says([b"220 go\r\n", b"454 4.7.0 no TLS\r\n"]),
    "later-and-close": says([b"220 go\r\n", b"250 ok\r\n"], close),
    "after-hello": after_hello(b"250-peer\r\n250 ok\r\n"),
    "after-hello-and-close": after_hello(b"500 what\r\n", close),
}


def injected_the_second_time(connection, peer):
    return (says(b"220 go\r\n", close) if len(peer.said) == 1 else says(b"220 go\r\n250 ok\r\n"))(connection, peer)


INJECTED["once-closed-then-text"] = injected_the_second_time


class World:
    def __init__(self, folder, certificates, kinds, tls, environment=None):
        self.peers = {name: Peer(after) for name, after in kinds.items()}
        for peer in self.peers.values():
            peer.certificates = certificates
        routes = "".join(f"    - {{domain: {name}.test, host: 127.0.0.1, port: {peer.port}, tls: {tls}}}\n" for name, peer in self.peers.items())
        self.server = Mailboat(folder, certificates, relay=f"relay:\n  routes:\n{routes}",
                               extra="queue: {retry: {first: 1h, max: 1h}}\n", environment=environment)
        self.server.start()
        for name in self.peers:
            self.send(name)

    def send(self, name):
        run("send", "--config", self.server.config, "--from", "ada@example.org", "--to", f"x@{name}.test", "--subject", name, "--body", "hello")

    def close(self):
        self.server.stop()
        for peer in self.peers.values():
            peer.close()


def world_of(kinds, tls):
    @pytest.fixture(scope="module")
    def world(tmp_path_factory, certificates):
        it = World(tmp_path_factory.mktemp("world"), certificates, kinds, tls)
        yield it
        it.close()
    return world


broken = world_of(BROKEN, "may")
injected = world_of(INJECTED, "may")
demanded = world_of({**BROKEN, **INJECTED}, "encrypt")


@pytest.mark.parametrize("name", BROKEN)
def test_without_a_demand_it_is_tried_again_and_goes_in_clear(broken, name):
    line = broken.server.wait_log("delivered", f"to=x@{name}.test")[0]
    peer = broken.peers[name]
    assert peer.letters == ["clear"] and len(peer.said) == 3
    assert [any(l.startswith(b"STARTTLS") for l in lines) for lines in peer.said] == [True, True, False]
    assert ' tls="without TLS: TLS failed twice: ' in line, line
    broken.server.wait_log("tls_abandoned", f"peer=127.0.0.1[127.0.0.1]:{peer.port}", "TLS failed twice")


@pytest.mark.parametrize("name", INJECTED)
def test_clear_text_behind_220_leads_to_none(injected, name):
    line = injected.server.wait_log("deferred", f"to=x@{name}.test")[0]
    assert "plain text was received after STARTTLS: someone is tampering" in line and "step=tls" in line and "code=0" in line, line
    peer = injected.peers[name]
    assert peer.letters == [] and not any(l[:4] in (b"MAIL", b"AUTH", b"HELO") for lines in peer.said for l in lines)
    assert all(any(l.startswith(b"STARTTLS") for l in lines) for lines in peer.said)
    queue_id = next(word for word in line.split() if word.startswith("id=")).removeprefix("id=")
    until(lambda: "plain text was received after STARTTLS: someone is tampering" in injected.server.cli("queue", "show", queue_id).stdout)


@pytest.mark.parametrize("name", [*BROKEN, *INJECTED])
def test_where_it_is_demanded_the_message_waits(demanded, name):
    line = demanded.server.wait_log("deferred", f"to=x@{name}.test")[0]
    assert "tls_policy=encrypt " in line, line
    assert demanded.peers[name].letters == [] and len(demanded.peers[name].said) == 1
    assert not any(l.startswith(b"MAIL") for lines in demanded.peers[name].said for l in lines)


@pytest.mark.parametrize("name", ["same-segment", "later-segment", "later-refusal", "after-hello-and-close", "half-a-line"])
def test_who_submits_is_told_and_nothing_is_said_in_clear(certificates, name):
    peer = Peer(INJECTED[name], hello=b"250-peer\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n")
    where = ("--host", "127.0.0.1", "--port", str(peer.port))
    try:
        for command in (("ports", f"127.0.0.1:{peer.port}"), ("send", *where, "--from", "a@example.org", "--to", "b@example.org", "--subject", "s", "--body", "b")):
            told = run(*command, check=False)
            assert told.returncode == 69 and "plain text was received after STARTTLS: someone is tampering" in told.stdout + told.stderr, (told.stdout, told.stderr)
        assert peer.letters == [] and not any(l[:4] in (b"MAIL", b"AUTH") for lines in peer.said for l in lines)
    finally:
        peer.close()


def test_one_that_fails_once_gets_the_message_under_tls(tmp_path, certificates):
    world = World(tmp_path, certificates, {"once": first_time(says(b"220 go\r\n", close))}, "may")
    try:
        line = world.server.wait_log("delivered", "to=x@once.test")[0]
        assert world.peers["once"].letters == ["tls"] and " tls=\"TLSv1.3 " in line, line
    finally:
        world.close()


def test_silence_is_waited_for_once(tmp_path, certificates):
    """The first message waits for the handshake (30 s), the second does not; if TLS is required it waits, but less."""
    board, waits = Board(tmp_path / "board"), threading.Event()

    def say_nothing(connection):
        connection.recv(4096)
        waits.set()
        swallow(connection)
    kinds = {"silent": says(b"220 go\r\n", say_nothing)}
    world = World(tmp_path, certificates, kinds, "may", board.environment())
    peer = world.peers["silent"]
    try:
        assert waits.wait(PATIENCE) and peer.letters == [] and peer.ended == 0
        board.pass_time(30)
        until(lambda: peer.letters == ["clear"])
        line = world.server.wait_log("delivered", "to=x@silent.test")[0]
        assert ' tls="without TLS: the host did not answer STARTTLS: timed out' in line, line
        assert len(peer.said) == 2
        board.pass_time(3)  # the connection is kept for this time
        until(lambda: peer.ended == 2)
        world.send("silent")
        until(lambda: len(world.server.lines("delivered", "to=x@silent.test")) == 2)
        assert ' tls="without TLS: the host did not answer STARTTLS 0 min ago"' in world.server.lines("delivered", "to=x@silent.test")[1]
        assert len(peer.said) == 3 and not any(l.startswith(b"STARTTLS") for l in peer.said[2])
    finally:
        world.close()
