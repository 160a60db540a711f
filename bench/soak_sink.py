# SPDX-License-Identifier: Apache-2.0
"""The remote server of a soak: it accepts mail, and sometimes defers, rejects,
stalls, or hangs up, also after it has accepted a message and before the sender
has the reply. The first part of an address determines the outcome:
`any`, `later` (deferred twice), `refuse`."""
import random
import socket
import ssl
import threading
import time
from collections import Counter


class HungUp(Exception):
    pass


class MoodySink:
    """Records each arrival in `book`: got(content, recipients, sure)."""

    def __init__(self, book, certificates=None, extensions=("PIPELINING", "8BITMIME", "SIZE 52428800")):
        self.book, self.extensions = book, list(extensions) + (["STARTTLS"] if certificates else [])
        self.random, self.tried, self.moods = random.Random(7), Counter(), Counter()
        self.door = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.door.getsockname()[1]
        self.tls = None
        if certificates:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _mood(self, name, one_in):
        if self.random.randrange(one_in) != 0:
            return False
        self.moods[name] += 1
        return True

    def _talk(self, connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(400)
            self._session(connection)
        except (OSError, ValueError, HungUp):
            pass
        finally:
            connection.close()

    def _hang_up(self, name, one_in):
        if self._mood(name, one_in):
            raise HungUp()

    def _session(self, connection):
        lines, secured = connection.makefile("rwb"), False

        def say(*texts):
            lines.write("".join(text + "\r\n" for text in texts).encode())
            lines.flush()

        self._hang_up("hangs up before the greeting", 200)
        if self._mood("421 for a greeting", 200):
            return say("421 4.3.2 too busy")
        say("220 sink.test ready")
        recipients, begun = [], False
        while line := lines.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                words = ["sink.test"] + [word for word in self.extensions if word != "STARTTLS" or not secured]
                say(*[("250 " if i + 1 == len(words) else "250-") + word for i, word in enumerate(words)])
            elif verb == b"STAR":
                say("220 go on")
                self._hang_up("hangs up instead of a handshake", 200)
                lines = self.tls.wrap_socket(connection, server_side=True).makefile("rwb")
                secured = True
            elif verb == b"MAIL":
                recipients, begun = [], not self._mood("451 to MAIL", 100)
                say("250 2.1.0 ok" if begun else "451 4.3.0 not now")
            elif verb == b"RCPT":
                address = line.split(b"<")[1].split(b">")[0].decode()
                reply = self._recipient(address) if begun else "503 5.5.1 MAIL first"
                recipients += [address] if reply.startswith("250") else []
                say(reply)
            elif verb == b"DATA":
                if not recipients:
                    say("554 5.5.1 no recipients")
                    continue
                say("354 go on")
                self._content(lines, recipients, say)
            elif verb == b"QUIT":
                return say("221 bye")
            else:
                say("250 2.0.0 ok")

    def _recipient(self, address):
        kind = address.split(".")[0]
        self._hang_up("hangs up at RCPT", 200)
        if kind == "refuse":
            return "550 5.1.1 nobody here\r\n".strip()
        if kind == "later" and self.tried[address] < 2:
            self.tried[address] += 1
            return "451 4.7.1 greylisted"
        return "250 2.1.5 ok"

    def _content(self, lines, recipients, say):
        self._hang_up("hangs up at DATA", 200)
        kept, cut = [], self._mood("hangs up inside the content", 200)
        while (line := lines.readline()) != b".\r\n":
            if line == b"" or cut:
                raise HungUp()
            kept.append(line[1:] if line.startswith(b".") else line)
        if self._mood("452 to the content", 100):
            return say("452 4.3.1 no room")
        sure = not self._mood("takes it and hangs up", 300)
        self.book.got(b"".join(kept), recipients, sure)
        if not sure:
            raise HungUp()
        if self._mood("stalls", 300):
            time.sleep(2)
        say("250 2.0.0 taken")

    def stop(self):
        self.door.close()
