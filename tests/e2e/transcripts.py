# SPDX-License-Identifier: Apache-2.0
"""Plays the transcripts of tests/attacks/server against a whole server: the
client's lines (C: C-) are sent as octets on a socket, the server's lines (S: S~ S+)
are expected, "? starttls" and "? close" are carried out. Lines that only apply to
the state machine (other ? and =) are skipped."""
import re
import socket
import ssl
from pathlib import Path

from mailboat import PATIENCE

FOLDER = Path(__file__).resolve().parents[1] / "attacks" / "server"
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b"s": b" ", b"{": b"{"}


def expand(text):
    def octets(match):
        if match[1]:
            return bytes([int(match[1], 16)])
        if match[2]:
            return ESCAPES[match[2]]
        return match[3] * int(match[4])
    return re.sub(rb"\\x([0-9a-fA-F]{2})|\\(.)|\{(.)\*(\d+)\}", octets, text)


class Dialogue:
    def __init__(self, title, keys):
        self.title, self.keys, self.lines = title, dict(keys), []

    def can_be_replayed(self, pieces):
        """False if the transcript needs the clock, an operator or limits that only the state machine has."""
        of_the_machine = any(mark == b"!" for _, mark, _ in self.lines) or self.keys.keys() & {"size", "recipients", "fix", "expected", "early"}
        return not of_the_machine and self.keys.get("wire") not in (("no", "whole") if pieces else ("no",))

    @property
    def messages(self):
        return sum(mark == b"?" and text.startswith(b"store => done") for _, mark, text in self.lines)


def dialogues(path):
    found, common, repeat = [], {}, None
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line or line.startswith(b"#"):
            continue
        mark, _, text = line.partition(b" ")
        if mark == b"==":
            found.append(Dialogue(text.decode(), common))
        elif re.fullmatch(rb"[a-z]+:", mark):
            (found[-1].keys if found else common)[mark[:-1].decode()] = text.decode()
        elif mark == b"*" and text:
            repeat = (int(text), len(found[-1].lines))
        elif mark == b"*":
            found[-1].lines += found[-1].lines[repeat[1]:] * (repeat[0] - 1)
        else:
            found[-1].lines.append((number, mark, expand(text)))
    return found


class Line:
    """One connection and the data to be sent on it."""

    def __init__(self, server, port, pieces):
        self.server, self.pieces = server, pieces
        self.socket = socket.create_connection((server.address, server.ports[port]), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if port == 465:
            self.secure()
        self.said, self.heard = b"", b""

    def secure(self):
        context = ssl.create_default_context(cafile=self.server.ca)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.heard = b""

    def flush(self):
        """Sends in one piece, or in small ones; stops if the server has closed the connection."""
        said, self.said = self.said, b""
        try:
            for at in range(0, len(said), self.pieces or max(len(said), 1)):
                self.socket.sendall(said[at:at + (self.pieces or len(said))])
        except OSError:
            pass

    def read_line(self):
        self.flush()
        while b"\n" not in self.heard:
            more = self.socket.recv(65536)
            if not more:
                return None
            self.heard += more
        line, _, self.heard = self.heard.partition(b"\n")
        assert line.endswith(b"\r") and b"\r" not in line[:-1], line
        return line[:-1]

    def read_end(self):
        """Checks that no more data comes, and that the connection ends."""
        self.flush()
        try:
            assert self.heard + self.socket.recv(65536) == b""
        except ConnectionResetError:  # it had not read everything that was sent
            pass


def play(server, dialogue, pieces=0):
    """Keys of a transcript: "wire: whole" sends it in one piece, "wire: no" skips it here."""
    role, tls = dialogue.keys.get("role", "mx"), dialogue.keys.get("tls", "starttls")
    line = Line(server, 25 if role == "mx" else 465 if tls == "implicit" else 587, pieces)
    with line.socket:
        for number, mark, text in dialogue.lines:
            if mark in (b"C:", b"C-"):
                line.said += text + (b"\r\n" if mark == b"C:" else b"")
            elif mark == b"?" and text == b"starttls":
                assert line.heard == b""
                line.secure()
            elif mark == b"?" and text == b"close":
                line.read_end()
            elif mark in (b"S:", b"S~", b"S+"):
                try:
                    heard = line.read_line()
                    where = f"{dialogue.title}, line {number}: {heard}, not {text}"
                    assert heard is not None and (heard == text if mark == b"S:" else heard.startswith(text)), where
                    while mark == b"S+" and heard[3:4] == b"-":
                        heard = line.read_line()
                except ConnectionResetError:
                    # it closed before it had read everything, and its last reply was lost in the reset
                    assert (number, b"?", b"close") > (number, mark, text) and any(m == b"?" and t == b"close" for _, m, t in dialogue.lines), dialogue.title
                    return
        line.flush()
