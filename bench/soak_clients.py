# SPDX-License-Identifier: Apache-2.0
"""The clients of a soak: clients that send mail in every supported way, clients
whose requests are rejected, and clients that hang up, are slow, fall silent or
fail at TLS. Each function takes a `Town` (soak_mixed) and runs one client once."""
import base64
import http.client
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse
from contextlib import contextmanager

from mailboat import PROGRAM
from soak_book import ARRIVES, EXPIRES, FAILS

PATIENCE = 120
KIB, MIB = 1024, 1 << 20
USERS = [f"u{i}@example.org" for i in range(10)]
PASSWORD = "the-password-of-them-all"


class Odd(Exception):
    """A reply that a client of this kind does not expect."""


class Line:
    """A connection to the server, command by command."""

    def __init__(self, town, port, tls=None, source=None):
        self.town, self.port = town, port
        self.socket = socket.create_connection(("127.0.0.1", town.server.ports[port]), PATIENCE, source_address=source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls if tls is not None else port == 465:
            self.socket = town.tls.wrap_socket(self.socket, server_hostname="localhost")
        self.unread = b""

    def send(self, octets):
        self.socket.sendall(octets)

    def hear(self, code, what=""):
        """Returns the last line of the next reply."""
        while True:
            while b"\n" not in self.unread:
                more = self.socket.recv(65536)
                if not more:
                    raise Odd(f"{self.port} {what}: hung up on")
                self.unread += more
            line, self.unread = self.unread.split(b"\n", 1)
            if line[3:4] != b"-":
                if not line.decode(errors="replace").startswith(code if isinstance(code, tuple) else str(code)):
                    raise Odd(f"{self.port} {what}: {line[:60].decode(errors='replace').strip()}")
                return line

    def say(self, command, code):
        self.send(command.encode() + b"\r\n")
        return self.hear(code, command.split(":")[0].split()[0])

    def start_tls(self):
        self.say("STARTTLS", 220)
        self.socket = self.town.tls.wrap_socket(self.socket, server_hostname="localhost")

    def greet(self, starttls=False):
        self.hear(220, "greeting")
        self.say("EHLO client.example", 250)
        if starttls:
            self.start_tls()
            self.say("EHLO client.example", 250)

    def sign_in(self, user, password=PASSWORD, code=235):
        self.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode(), code)

    def leave(self):
        self.say("QUIT", 221)
        self.socket.close()

    def reset(self):
        """Closes the connection with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextmanager
def line_to(*arguments, **options):
    line = Line(*arguments, **options)
    try:
        yield line
    finally:
        line.socket.close()


def some_size(chance):
    """Returns a size: mostly small, sometimes some hundred KiB, and one in 1,200 is 10 MiB."""
    turn = chance.randrange(1200)
    return 10 * MIB - 4096 if turn == 0 else chance.randrange(32 * KIB, 600 * KIB) if turn < 40 else chance.randrange(200, 12 * KIB)


def text_of(number, sender, size):
    head = f"From: <{sender}>\r\nTo: some\r\nSubject: soak {number}\r\nX-Soak: {number}\r\n\r\n".encode()
    lines = (b"%d " % number + b"x" * 60 + b"\r\n.dots and text\r\n") * (size // 90 + 1)
    return head + lines + b"end of %d\r\n" % number


def stuffed(text):
    return text.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def fates(town, chance, number, abroad=True):
    """Returns one to four recipients, local and remote."""
    found = {}
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        turn = chance.randrange(100)
        if turn < 50 or not abroad:
            found[chance.choice(USERS)] = ARRIVES
        elif turn < 97:
            kind = chance.choice(("any",) * 12 + ("later", "refuse"))
            found[f"{kind}.{number}@{chance.choice(('sink.test', 'tls.test', 'chunks.test'))}"] = FAILS if kind == "refuse" else ARRIVES
        elif town.expiring:
            found[f"any.{number}@gone.test"] = EXPIRES
    return found or {chance.choice(USERS): ARRIVES}


def envelope(sender, letter, notify=""):
    recipients = [f"RCPT TO:<{address}>{notify}" for address in letter.fates]
    return [f"MAIL FROM:<{sender}>" + (" RET=HDRS ENVID=soak" if notify else ""), *recipients]


# ---- clients that send mail ----

def submits(town, chance):
    """Submits one to three messages over one authenticated connection."""
    sender = chance.choice(USERS)
    with line_to(town, chance.choice((587, 587, 465, 2525))) as line:
        line.greet(starttls=line.port != 465)
        line.sign_in(sender)
        for _ in range(chance.choice((1, 1, 3))):
            asks = chance.randrange(20) == 0
            number, letter = town.book.open(lambda n: fates(town, chance, n), notify=asks)
            text = text_of(number, sender, some_size(chance))
            for command in envelope(sender, letter, " NOTIFY=SUCCESS,FAILURE" if asks else ""):
                line.say(command, 250)
            line.say("DATA", 354)
            line.send(stuffed(text))
            line.hear(250, "content")
            letter.state = "accepted"
        line.leave()


def comes_in(town, chance):
    """Sends mail as another server does: pipelined, by DATA or in chunks, with or without TLS."""
    with line_to(town, 25) as line:
        line.greet(starttls=chance.randrange(3) == 0)
        for _ in range(chance.choice((1, 1, 4))):
            number, letter = town.book.open(lambda n: fates(town, chance, n, abroad=False))
            sender = f"any.{number}@sink.test"
            text, commands = text_of(number, sender, some_size(chance)), envelope(sender, letter)
            if chance.randrange(2):
                cut = chance.randrange(len(text))
                pieces = [b"BDAT %d\r\n" % cut + text[:cut], b"BDAT %d LAST\r\n" % (len(text) - cut) + text[cut:]]
                line.send("".join(c + "\r\n" for c in commands).encode() + b"".join(pieces))
                codes = [250] * (len(commands) + 2)
            else:
                line.send("".join(c + "\r\n" for c in commands + ["DATA"]).encode())
                codes = [250] * len(commands) + [354]
            for code in codes:
                line.hear(code, "pipelined")
            if codes[-1] == 354:
                line.send(stuffed(text))
                line.hear(250, "content")
            letter.state = "accepted"
        line.leave()


def drops(town, chance):
    """Sends with a local program; sometimes while no server listens, so that it leaves a drop file."""
    sender = chance.choice(USERS)
    number, letter = town.book.open(lambda n: fates(town, chance, n))
    away = town.server.data / "submit.sock"
    hidden = away.with_name("submit.away")
    with town.socket_lock:
        listens = chance.randrange(3) != 0
        if not listens and away.exists():
            away.rename(hidden)
        try:
            done = subprocess.run([str(PROGRAM), "sendmail", "-C", str(town.server.config), "-i", "-f", sender, *letter.fates],
                                  input=text_of(number, sender, chance.randrange(200, 60 * KIB)).replace(b"\r\n", b"\n"), capture_output=True, timeout=PATIENCE)
        finally:
            if hidden.exists() and not away.exists():
                hidden.rename(away)
    if done.returncode != 0:
        raise Odd(f"sendmail: exit {done.returncode}: {done.stderr.decode()[:100]}")
    letter.state = "accepted"


def sends_slowly(town, chance):
    """Sends a message in pieces, over some seconds."""
    with line_to(town, 25) as line:
        line.greet()
        number, letter = town.book.open(lambda n: fates(town, chance, n, abroad=False))
        sender = f"any.{number}@sink.test"
        for command in envelope(sender, letter) + ["DATA"]:
            for octet in command + "\r\n":
                line.send(octet.encode())
                town.ended.wait(0.01)
            line.hear(354 if command == "DATA" else 250, command)
        text = stuffed(text_of(number, sender, 40 * KIB))
        for at in range(0, len(text), 2048):
            line.send(text[at:at + 2048])
            town.ended.wait(0.1)
        line.hear(250, "content")
        letter.state = "accepted"
        line.leave()


# ---- clients whose requests are rejected ----

def is_refused(town, chance):
    what = chance.randrange(5)
    if what == 0:  # an unknown user; the known one in the same transaction gets the mail
        with line_to(town, 25) as line:
            line.greet()
            number, letter = town.book.open(lambda n: {chance.choice(USERS): ARRIVES})
            line.say(f"MAIL FROM:<any.{number}@sink.test>", 250)
            line.say("RCPT TO:<nobody@example.org>", 550)
            line.say(envelope("", letter)[1], 250)
            line.say("DATA", 354)
            line.send(stuffed(text_of(number, "x@sink.test", 500)))
            line.hear(250, "content")
            letter.state = "accepted"
            line.leave()
    elif what == 1:  # relaying
        with line_to(town, 25) as line:
            line.greet()
            line.say("MAIL FROM:<x@sink.test>", 250)
            line.say("RCPT TO:<any.0@sink.test>", 5)
            line.leave()
    elif what == 2:  # a wrong password, from any address
        with line_to(town, 587, source=f"127.{chance.randrange(1, 255)}.{chance.randrange(255)}.{chance.randrange(1, 255)}") as line:
            line.greet(starttls=True)
            line.sign_in(chance.choice(["nobody@example.org", "guessed@example.org"]), "wrong", ("535", "454"))  # 454: locked out
            line.socket.close()
    elif what == 3:  # another user's address
        with line_to(town, 465) as line:
            line.greet()
            line.sign_in(USERS[0])
            line.say(f"MAIL FROM:<{USERS[1]}>", 5)
            line.leave()
    else:  # without a password, too large, or nonsense
        with line_to(town, 587) as line:
            line.greet()
            line.say("MAIL FROM:<x@example.org>", 530)
            line.say("VRFY root", 5 if chance.randrange(2) else "")
            line.say("XYZZY", 5)
            line.leave()
        with line_to(town, 25) as line:
            line.greet()
            line.say("MAIL FROM:<x@sink.test> SIZE=999999999", 552)
            line.leave()


# ---- misbehaving clients ----

def hangs_up(town, chance):
    """Hangs up at any step, with FIN or RST; also after the content, when the outcome is unknown."""
    port, last = chance.choice((25, 587, 465, 2525)), chance.randrange(12)
    sender, letter = chance.choice(USERS), None
    with line_to(town, port, tls=port == 465 and last > 0) as line:
        steps = [lambda: line.hear(220, "greeting"), lambda: line.say("EHLO client.example", 250)]
        if port != 465:
            steps += [lambda: line.send(b"STARTTLS\r\n"), lambda: line.hear(220, "STARTTLS"), lambda: secure(line), lambda: line.say("EHLO client.example", 250)]
        if port != 25:
            steps += [lambda: line.sign_in(sender)]
        number, letter = town.book.open(lambda n: fates(town, chance, n, abroad=port != 25))
        text = stuffed(text_of(number, sender, chance.choice((500, 20 * KIB, 200 * KIB))))
        sender = sender if port != 25 else f"any.{number}@sink.test"
        for command in envelope(sender, letter):
            steps += [lambda command=command: line.say(command, 250)]
        steps += [lambda: line.say("DATA", 354), lambda: line.send(text[:len(text) // 2]), lambda: line.send(text[len(text) // 2:])]
        last = min(last + (6 if port != 465 else 0), len(steps)) if last > 3 else last
        for step in steps[:last]:
            step()
        letter.state = "unknown" if last == len(steps) else "refused"
        if chance.randrange(2):
            line.reset()


def secure(line):
    line.socket = line.town.tls.wrap_socket(line.socket, server_hostname="localhost")


def fails_at_tls(town, chance):
    """Sends garbage instead of a ClientHello, half of one, an old version, or does not trust the certificate."""
    what, port = chance.randrange(4), chance.choice((25, 587, 465, 2525))
    with line_to(town, port, tls=False) as line:
        if port != 465:
            line.greet()
            line.say("STARTTLS", 220)
        if what == 0:
            line.send(os.urandom(chance.randrange(1, 600)))
        elif what == 1:
            line.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(20))
        else:
            wrong = ssl.create_default_context()
            if what == 2:
                wrong.check_hostname, wrong.verify_mode = False, ssl.CERT_NONE
                wrong.set_ciphers("ALL:@SECLEVEL=0")
                wrong.minimum_version = wrong.maximum_version = ssl.TLSVersion.TLSv1_1
            try:
                wrong.wrap_socket(line.socket, server_hostname="localhost").close()
                raise Odd(f"{port}: a handshake succeeded that must not")
            except (ssl.SSLError, OSError):
                pass


def falls_silent(town, chance):
    """Stays half open for about a minute, at some step; the lane continues during that time."""
    if not town.silent_room.acquire(blocking=False):
        return
    line = Line(town, chance.choice((25, 587, 465, 2525)), tls=False)
    if line.port != 465 and chance.randrange(2):
        line.greet()
        line.send(chance.choice((b"EHLO half", b"STARTTLS\r\n", b"MAIL FROM:<", b"")))
    threading.Thread(target=stays_silent, args=(town, line, chance.randrange(20, 90)), daemon=True).start()


def stays_silent(town, line, seconds):
    town.ended.wait(seconds)
    line.socket.close()
    town.silent_room.release()


# ---- clients that send no mail ----

def fetches_settings(town, chance):
    web = http.client.HTTPConnection("127.0.0.1", town.web_port, timeout=PATIENCE)
    user = urllib.parse.quote(chance.choice(USERS))
    path, status = chance.choice(((f"/mail/config-v1.1.xml?emailaddress={user}", 200), (f"/mail/config-v1.1.xml?emailaddress=x@elsewhere.test", 404), ("/no/such", 404)))
    web.request("GET", path, headers={"Host": "autoconfig.example.org"})
    answer = web.getresponse()
    answer.read()
    web.close()
    if answer.status != status:
        raise Odd(f"web: {path.split('?')[0]}: {answer.status}")
    with socket.create_connection(("127.0.0.1", town.web_port), PATIENCE) as half:
        half.sendall(b"GET /mail/conf" if chance.randrange(2) else b"\x16\x03\x01nonsense\r\n\r\n")


def looks_after_the_queue(town, chance):
    verb = chance.choice(("list", "stats", "retry", "list-json", "mailq"))
    words = {"list": ["queue", "list"], "stats": ["queue", "stats"], "retry": ["queue", "retry", "--all"], "list-json": ["queue", "list", "--json"],
             "mailq": ["queue", "list", "--older", "5s"]}[verb]
    town.server.cli(*words)


def comes_and_goes(town, chance):
    """A user is added, gets a message, and is removed."""
    name = f"guest{chance.randrange(10**9)}@example.org"
    town.server.add_user(name, "secret-of-a-guest")
    number, letter = town.book.open(lambda n: {name: ARRIVES})
    with line_to(town, 25) as line:
        line.greet()
        for command in envelope("any.0@sink.test", letter):
            line.say(command, 250)
        line.say("DATA", 354)
        line.send(stuffed(text_of(number, "x@sink.test", 500)))
        line.hear(250, "content")
        letter.state = "accepted"
        line.leave()
    deadline = time.monotonic() + PATIENCE
    while not letter.arrived and time.monotonic() < deadline:
        town.collect(name)
        time.sleep(0.05)
    town.server.cli("user", "remove", name)
    with line_to(town, 25) as line:
        line.greet()
        line.say("MAIL FROM:<any.0@sink.test>", 250)
        line.say(f"RCPT TO:<{name}>", 550)
        line.leave()


# Each with its share of a thousand turns.
KINDS = [(submits, 480), (comes_in, 250), (is_refused, 90), (hangs_up, 80), (fails_at_tls, 30), (sends_slowly, 12), (falls_silent, 20), (drops, 20),
         (fetches_settings, 12), (looks_after_the_queue, 4), (comes_and_goes, 2)]
