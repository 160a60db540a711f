# SPDX-License-Identifier: Apache-2.0
"""Servers that attack the relay, and outgoing mail as two other readers see it, one strict and one lax."""
import email
import email.policy
import re
import smtplib
import socket
import threading

import pytest

from mailboat import memory_kib, smtp, until

USER, PASSWORD = "ada@example.org", "secret-of-ada"


class Peer:
    """A server that `talk` controls; it stores the octets that it receives."""

    def __init__(self, talk):
        self.heard, self.over = b"", threading.Event()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.serve, args=(talk,), daemon=True).start()

    def serve(self, talk):
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            with client, client.makefile("rb") as self.stream:
                try:
                    talk(self, client)
                except OSError:
                    pass
            self.over.set()

    def hear(self, octets=0, end=b""):
        """Reads a number of octets, or a line, or lines up to one equal to `end`."""
        got = self.stream.read(octets) if octets else self.stream.readline()
        while end and got and not got.endswith(b"\r\n" + end) and got != end:
            line = self.stream.readline()
            got = got + line if line else b""
        if not got:
            raise OSError("gone")
        self.heard += got
        return got


def smarthost(peer, tls="none", extra=""):
    return f"relay:\n  via: smarthost\n  smarthost: {{host: 127.0.0.1, port: {peer.port}, tls: {tls}{extra}}}\nqueue: {{retry: {{first: 1h}}}}\n"


@pytest.fixture
def against(mailboat):
    """Returns a function that starts Mailboat with a peer as its smarthost."""
    peers = []

    def start(talk, **options):
        peer = Peer(talk)
        peers.append(peer)
        server = mailboat(relay=smarthost(peer, **options))
        server.add_user(USER, PASSWORD)
        return server, peer
    yield start
    for peer in peers:
        peer.door.close()


def send(server, content=b"Subject: hello\r\n\r\nhello\r\n", to="bob@elsewhere.net"):
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(USER, [to], content)


# ---- outgoing mail ----

def taker(*extensions):
    """A server that accepts everything and replies once per command, whatever its content."""
    def talk(peer, client):
        client.sendall(b"220 taker\r\n")
        while True:
            line = peer.hear()
            verb = line[:4].upper()
            if verb == b"EHLO":
                client.sendall(b"".join(b"250-" + e + b"\r\n" for e in extensions) + b"250 taker\r\n")
            elif verb == b"DATA":
                client.sendall(b"354 go\r\n")
                peer.hear(end=b".\r\n")
                client.sendall(b"250 2.0.0 taken\r\n")
            elif verb == b"BDAT":
                peer.hear(int(line.split()[1]))
                client.sendall(b"250 2.0.0 taken\r\n")
            else:
                client.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n")
            if verb == b"QUIT":
                return
    return talk


def commands(heard, end):
    """Returns the command lines of a session for a reader to which `end` ends DATA, with BDAT by its size."""
    found = []
    while heard:
        line, _, heard = heard.partition(b"\r\n")
        found.append(line.split(b" ")[0].upper() if not re.match(rb"(?i)MAIL|RCPT", line) else line)
        if line.upper() == b"DATA":
            match = end.search(b"\r\n" + heard)
            heard = heard[match.end() - 2:]
        if line.upper().startswith(b"BDAT"):
            heard = heard[int(line.split()[1]):]
    return found


STRICT = re.compile(rb"\r\n\.\r\n")
LAX = re.compile(rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n|\0)")
SMUGGLED = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n"
BODIES = [b"\r\n.\r\n" + SMUGGLED + b".\r\n", b"\r\n..\r\n" + SMUGGLED, b".\r\n" + SMUGGLED, b"\r\n.\0\r\n" + SMUGGLED, b"\x85.\x85" + SMUGGLED,
          b"\r\n.\r\n.\r\n" + SMUGGLED + b"\r\n.", b"end without a newline\r\n."]


@pytest.mark.parametrize("way", ["data", "chunks"])
def test_what_leaves_is_read_by_all_in_the_same_way(against, way):
    server, peer = against(taker(b"PIPELINING", b"8BITMIME", *([b"CHUNKING"] if way == "chunks" else [])))
    filler = b"".join(b"%04d " % i + b"x" * 70 + b"\r\n" for i in range(900)) if way == "chunks" else b""  # only large messages are sent in chunks
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        for body in BODIES:  # by BDAT, which accepts it unchanged
            content = b"From: ada@example.org\r\nSubject: tricks\r\n\r\n" + filler + body
            client.ehlo_or_helo_if_needed()
            client.mail(USER)
            client.rcpt("bob@elsewhere.net")
            client.send(b"BDAT %d LAST\r\n" % len(content) + content)
            code, text = client.getreply()
            assert code == (550 if b"\0" in body else 250), (body, text)  # NUL is rejected on receipt
    taken = sum(b"\0" not in body for body in BODIES)
    server.wait_log("delivered", "to=bob@elsewhere.net", count=taken)
    assert peer.over.wait(30)
    heard = peer.heard
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)", heard)
    assert bare is None, heard[max(0, bare.start() - 40):bare.start() + 40]
    strict, lax = commands(heard, STRICT), commands(heard, LAX)
    assert strict == lax
    assert strict.count(b"RCPT TO:<bob@elsewhere.net>") == taken == sum(line.startswith(b"MAIL FROM:<ada@example.org>") for line in strict)
    assert not [line for line in strict if b"evil" in line or b"victim" in line]
    assert (b"BDAT" in strict) == (way == "chunks") and (b"DATA" in strict) == (way == "data")


# ---- STARTTLS ----

def injecting(injected, late=False):
    def talk(peer, client):
        client.sendall(b"220 mx\r\n")
        peer.hear()
        client.sendall(b"250-mx\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n")
        peer.hear()
        client.sendall(b"220 go\r\n" if late else b"220 go\r\n" + injected)
        if late:
            client.recv(1)  # the ClientHello has begun
            client.sendall(injected)
            client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    return talk


@pytest.mark.parametrize("late", [False, True], ids=["with the reply", "behind it"])
@pytest.mark.parametrize("injected", [b"250-mx\r\n250 AUTH PLAIN LOGIN\r\n", b"235 2.7.0 Signed in\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n", b"2"],
                         ids=["ehlo", "all replies", "an octet"])
def test_replies_behind_starttls_are_no_replies(against, tmp_path, injected, late):
    secret = tmp_path / "secret"
    secret.write_text("password-of-the-relay\n")
    server, peer = against(injecting(injected, late), tls="starttls", extra=f", user: u, password_file: {secret}")
    send(server)
    server.wait_log("deferred", "to=bob@elsewhere.net")
    assert not server.lines("delivered", "bob@elsewhere.net") and server.queue_count() == 1
    assert peer.heard == b"EHLO mx.example.org\r\nSTARTTLS\r\n"


# ---- floods ----

def flooding(flood, after=0):
    def talk(peer, client):
        client.sendall(b"220 mx\r\n")
        for _ in range(after):
            peer.hear()
            client.sendall(b"250 ok\r\n")
        for _ in range(100_000):
            client.sendall(flood)
    return talk


@pytest.mark.parametrize("flood", [b"250-x\r\n" * 1000, b"x" * 65536, b"250 ok\r\n" * 1000, b"250-" + b"x" * 4000 + b"\r\n", b"\r\n" * 1000, b"\0" * 65536],
                         ids=["lines", "no line", "replies", "long lines", "empty lines", "nul"])
def test_a_flood_of_replies_ends_the_session_and_nothing_else(against, flood):
    server, peer = against(flooding(flood, after=1))
    send(server)
    line = server.wait_log("deferred", "to=bob@elsewhere.net")[0]
    assert "status=4.5.0" in line, line
    assert peer.over.wait(30) and not server.lines("process_died")
    assert memory_kib(server.processes()["relay"][0]) < 30_000


# ---- injection ----

ACTING = "550 5.1.1 \x1b[31m\x07 \x9b2J \x85X-Evil: yes \u2028id=1 \u202egpj.exe \" level=error event=accepted %0d%0aBcc: evil@example.net"


def refusing(peer, client):
    client.sendall(b"220 mx\r\n")
    while True:
        verb = peer.hear()[:4].upper()
        client.sendall(b"250 ok\r\n" if verb in (b"EHLO", b"MAIL", b"RSET") else b"221 bye\r\n" if verb == b"QUIT" else ACTING.encode() + b"\r\n")


def test_what_a_server_says_acts_nowhere(against):
    server, _ = against(refusing)
    send(server, content=b"Subject: hello\r\nFrom: ada@example.org\r\n\r\nhello\r\n", to="bob@elsewhere.net")
    line = server.wait_log("bounced", "to=bob@elsewhere.net")[0]
    report = server.arrivals(USER, "Your message could not be delivered")[0]
    acting = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
    assert not acting.search(line) and r"\"" in line and not server.lines("accepted", "id=1")
    assert not acting.search(report.decode("utf-8").replace("\r\n", "\n")) and b"\nBcc:" not in report and b"X-Evil:" not in report.split(b"\n\n")[0]
    parsed = email.message_from_bytes(report, policy=email.policy.default)
    assert not parsed.defects and [p.get_content_type() for p in parsed.iter_parts()] == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    status = parsed.get_payload()[1].get_payload()
    assert [part.keys() for part in status][1] == ["Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"]


def test_a_report_cannot_be_shaped_by_who_asks_for_it(against):
    """ENVID and ORCPT are xtext: what they decode to must not begin a line of the report."""
    server, _ = against(refusing)
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.ehlo()
        client.mail(USER, ["ENVID=a+0D+0AReporting-MTA:+20evil", "RET=FULL"])
        client.rcpt("bob@elsewhere.net", ["ORCPT=rfc822;a+0D+0AAction:+20delivered+0D+0A+0D+0A--report", "NOTIFY=FAILURE"])
        assert client.data(b"Subject: shaped\r\nFrom: ada@example.org\r\n\r\n--report\r\nContent-Type: text/html\r\n\r\n<script>\r\n--report--\r\n")[0] == 250
    report = server.arrivals(USER, "Your message could not be delivered")[0]
    parsed = email.message_from_bytes(report, policy=email.policy.default)
    assert not parsed.defects and [p.get_content_type() for p in parsed.iter_parts()] == ["text/plain", "message/delivery-status", "message/rfc822"]
    about, recipient = parsed.get_payload()[1].get_payload()
    assert about["Reporting-MTA"] == "dns; mx.example.org" and len(about.get_all("Reporting-MTA")) == 1
    assert recipient.get_all("Action") == ["failed"] and recipient["Original-Recipient"].startswith("rfc822; a??Action:")
