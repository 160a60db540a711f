# SPDX-License-Identifier: Apache-2.0
"""Attacks on the server: the transcripts of tests/attacks against a running server. After each file, only the
mail that the transcripts mention exists."""
import base64
import os
import re
import signal
import socket
import ssl
import sys
from contextlib import contextmanager

import pytest

import transcripts
from mailboat import PATIENCE, make_certificates, until
from networks import SERVER, networks

USER, PASSWORD = "ada@example.org", "secret-of-ada"


@pytest.fixture(scope="module")
def attacked(shared_server):
    return shared_server


def stored(server):
    return len(server.mail(USER))


@pytest.mark.parametrize("path", sorted(transcripts.FOLDER.glob("*.smtp")), ids=lambda path: path.stem)
@pytest.mark.parametrize("pieces", [0, 7], ids=["at once", "in pieces"])
def test_nothing_comes_of_it(attacked, path, pieces):
    before, expected = stored(attacked), 0
    for dialogue in transcripts.dialogues(path):
        if dialogue.can_be_replayed(pieces):
            transcripts.play(attacked, dialogue, pieces)
            expected += dialogue.messages
    until(lambda: attacked.queue_count() == 0)
    assert attacked.queue_count() == 0 and stored(attacked) - before == expected
    assert not [text for text in attacked.mail(USER) if text.startswith(b"Return-Path: <evil")]
    assert not attacked.lines("process_died")


# ---- out of turn ----

@contextmanager
def stopped(server, role):
    """Octets that are sent meanwhile are there before the process can reply."""
    pids = server.processes()[role]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def to_the_end(line):
    with line:
        return b"".join(iter(lambda: line.recv(65536), b""))


def early(server, port, octets):
    """Returns what a client hears that has sent these octets before the greeting."""
    with stopped(server, "smtpd"):
        line = socket.create_connection((server.address, server.ports[port]), PATIENCE)
        line.sendall(octets)
    return to_the_end(line)


def hear(line, end, heard=b""):
    """Returns what was heard, with what is heard from now until the end is among it."""
    while not re.search(end, heard, re.M):
        more = line.recv(65536)
        assert more, heard
        heard += more
    return heard


ENVELOPE = f"MAIL FROM:<evil@example.net>\r\nRCPT TO:<{USER}>\r\nDATA\r\n".encode()
EVIL = b"Subject: evil\r\n\r\nevil\r\n.\r\nQUIT\r\n"


def test_who_does_not_wait_for_its_turn_is_refused_on_25_and_logged_elsewhere(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    # before the greeting; other protocols get their own words
    for octets in (b"EHLO a\r\n", b"QUIT\r\n", b"\r\n", b"E", b"EHLO a\r\n" + ENVELOPE + EVIL):
        assert early(server, 25, octets).startswith(b"554 5.5.0 SMTP synchronization error: wait for the greeting"), octets
    assert b"554 5.7.0 PROXY" in early(server, 25, b"PROXY TCP4 192.0.2.1 192.0.2.1 1 25\r\n")
    assert b"\r\n421 4.7.0 This is a mail server" in early(server, 25, b"POST / HTTP/1.1\r\n\r\n")
    line = server.wait_log("reply_rejected", "code=554", "status=5.5.0", f"port={server.ports[25]}")[0]
    assert "wait for the greeting" in line
    assert early(server, 587, b"EHLO a\r\nQUIT\r\n").count(b"\r\n221 ") == 1
    server.wait_log("input_out_of_turn", f"port={server.ports[587]}", "before the greeting", "hint=")
    # the message before 354, while the reply to RCPT is not known yet: commands may be sent ahead, it may not
    for content, end in ((EVIL, b"554 5.5.0 SMTP synchronization error: wait for the reply to DATA"), (b"", b"354 ")):
        line = socket.create_connection((server.address, server.ports[25]), PATIENCE)
        hear(line, rb"^220 .*\n")
        line.sendall(b"EHLO a\r\n")
        hear(line, rb"^250 .*\n")
        with stopped(server, "auth"):
            line.sendall(ENVELOPE)
            heard = hear(line, rb"^250 .*\n")  # to MAIL: the three commands were read
            line.sendall(content)
        heard = hear(line, rb"^(554|354) .*\n", heard)  # the same process knows the recipient already
        assert heard.split(b"\r\n")[-2].startswith(end), heard
        if content:
            assert to_the_end(line) == b""
        line.close()
    # where users sign in it is taken
    context = ssl.create_default_context(cafile=server.ca)
    line = context.wrap_socket(socket.create_connection((server.address, server.ports[465]), PATIENCE), server_hostname="localhost")
    for said in (b"EHLO a\r\n", b"AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()) + b"\r\n"):
        line.sendall(said)
        hear(line, rb"^(250|235) .*\n")
    line.sendall(ENVELOPE.replace(b"evil@example.net", USER.encode()) + EVIL)
    assert b"OK: queued as" in to_the_end(line)
    server.wait_log("input_out_of_turn", f"port={server.ports[465]}", f"account={USER}", "354", "hint=")
    until(lambda: server.mail(USER))
    assert len(server.mail(USER)) == 1


# ---- connections ----

@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_an_address_has_so_many_connections_and_no_more(tmp_path):
    """The limit is over all processes together, and closed connections are free again."""
    knock = f"""import socket
doors = [socket.create_connection(({SERVER!r}, port), 20) for port in (25, 2525) for _ in range(6)]
print(*sorted(door.recv(4).decode().strip() for door in doors))
for door in doors: door.close()
"""
    tls = tmp_path / "tls"
    tls.mkdir()
    with networks(tmp_path / "net") as net:
        server = net.mailboat(tmp_path / "server", make_certificates(tls), limits="limits: {connections_per_client: 5}\n", extra="processes: {smtpd: 3}\n")
        try:
            server.start()
            for _ in range(2):
                # the server may count a connection that was closed a moment ago
                heard = []
                until(lambda: heard.append(net.run(sys.executable, "-c", knock, check=True).stdout.split()) or heard[-1].count("220") == 5)
                assert heard[-1] == ["220"] * 5 + ["421"] * 7, heard
                assert all(once.count("220") <= 5 for once in heard)
            assert server.lines("connection_rejected", "too many connections from this address", "192.0.2.1")
        finally:
            server.stop()
