# SPDX-License-Identifier: Apache-2.0
"""The load: clients that send while the server runs, programs that call sendmail at any time, and another
mail server that is not affected by the power loss."""
import itertools
import random
import socket
import subprocess
import threading

from ledger import compose
from mailboat import PROGRAM

LOCAL = [f"m{i}@example.org" for i in range(4)]
AWAY = [f"a{i}@away{i % 3}.test" for i in range(9)]
SENDER = "load@example.org"
A_CONNECTION, PATIENCE = 25, 20
tokens = itertools.count(1)


class Gate:
    """Open while a server is running."""

    def __init__(self):
        self.changed, self.is_open, self.ended = threading.Condition(), False, False

    def set(self, is_open, ended=False):
        with self.changed:
            self.is_open, self.ended = is_open, ended
            self.changed.notify_all()

    def wait(self):
        """Waits until the gate is open; False when the test is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.is_open or self.ended)
            return not self.ended


class Client(threading.Thread):
    """Sends one message after the other; a message is never resent after a failure, so
    each copy beyond the first is caused by the server."""

    def __init__(self, gate, ledger, connect, recipients):
        super().__init__(daemon=True)
        self.gate, self.ledger, self.connect, self.recipients = gate, ledger, connect, recipients

    def run(self):
        while self.gate.wait():
            try:
                with self.connect() as connection:
                    self.session(connection, connection.makefile("rb"))
            except (OSError, EOFError):
                threading.Event().wait(0.01)

    def session(self, connection, replies):
        self.expect(replies, b"220")
        connection.sendall(b"EHLO load.example\r\n")
        self.expect(replies, b"250")
        for _ in range(A_CONNECTION):
            if not self.gate.is_open:
                break
            token, recipients = next(tokens), self.recipients()
            connection.sendall(f"MAIL FROM:<{SENDER}>\r\n{''.join(f'RCPT TO:<{r}>' + chr(13) + chr(10) for r in recipients)}DATA\r\n".encode())
            for code in [b"250"] * (1 + len(recipients)) + [b"354"]:
                self.expect(replies, code)
            connection.sendall(compose(token, SENDER, recipients) + b".\r\n")
            self.expect(replies, b"250")
            self.ledger.accept(token, recipients, "smtp")
        connection.sendall(b"QUIT\r\n")

    @staticmethod
    def expect(replies, code):
        while True:
            line = replies.readline()
            if not line.endswith(b"\n") or not line.startswith(code):
                raise EOFError(line)
            if line[3:4] == b" ":
                return


def local_recipients():
    return [random.choice(LOCAL)]


def any_recipients():
    """Returns the recipients: mostly remote, sometimes several, local and remote."""
    return random.choice([[random.choice(AWAY)]] * 6 + [random.sample(AWAY, 3), [random.choice(AWAY), *random.sample(LOCAL, 2)]])


def by_port(server):
    return lambda: socket.create_connection(("127.0.0.1", server.ports[25]), timeout=PATIENCE)


def by_socket(server):
    def connect():
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE)
        s.connect(str(server.data / "submit.sock"))
        return s
    return connect


class Program(threading.Thread):
    """Calls sendmail at its own pace, while the disk is available."""

    def __init__(self, gate, ledger, server, pause_s):
        super().__init__(daemon=True)
        self.gate, self.ledger, self.server, self.pause_s = gate, ledger, server, pause_s
        self.lock, self.process, self.off = threading.Lock(), None, threading.Event()

    def run(self):
        while self.gate.wait():
            token, recipients = next(tokens), any_recipients()
            with self.lock:
                if not self.gate.is_open:
                    continue
                self.process = subprocess.Popen([str(PROGRAM), "sendmail", "-C", str(self.server.config), "-f", SENDER, "--", *recipients],
                                                stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            try:
                self.process.communicate(compose(token, SENDER, recipients).replace(b"\r\n", b"\n"))
            except OSError:
                pass
            if self.process.returncode == 0:
                self.ledger.accept(token, recipients, "sendmail")
            self.off.wait(self.pause_s)

    def kill(self):
        """Kills the program with the machine, while the gate is closed; it exits once the disk is gone."""
        with self.lock:
            if self.process is not None:
                self.process.kill()
        return self.process


class Sink(threading.Thread):
    """Accepts all mail, and records each copy before it replies 250."""

    def __init__(self, ledger):
        super().__init__(daemon=True)
        self.ledger = ledger
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.changed, self.busy = threading.Condition(), 0

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.busy += 1
            threading.Thread(target=self.talk, args=(connection, self.ledger.life), daemon=True).start()

    def talk(self, connection, life):
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.session(connection, connection.makefile("rb"), life)
        except OSError:
            pass
        finally:
            with self.changed:
                self.busy -= 1
                self.changed.notify_all()

    def session(self, connection, lines, life):
        connection.sendall(b"220 sink.test\r\n")
        recipients = []
        for line in lines:
            verb = line[:4].upper()
            if verb == b"RCPT":
                recipients.append(line.split(b"<")[1].split(b">")[0].decode())
            elif verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                content = []
                for line in lines:
                    if line == b".\r\n":
                        break
                    content.append(line[1:] if line.startswith(b".") else line)
                else:
                    return
                for recipient in recipients:
                    self.ledger.arrive(b"".join(content), recipient, "relay", life)
                recipients = []
            elif verb == b"RSET":
                recipients = []
            if verb == b"EHLO":
                connection.sendall(b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            else:
                connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    return

    def wait_idle(self):
        """Waits until everything that the server sent before it was killed has been read."""
        with self.changed:
            return self.changed.wait_for(lambda: self.busy == 0, PATIENCE)
