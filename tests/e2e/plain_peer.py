# SPDX-License-Identifier: Apache-2.0
"""A mail server whose replies the test sets."""
import socket
import ssl
import threading

from mailboat import PATIENCE


class Peer:
    """An SMTP server that answers RCPT with `says` (a reply, or one by address)
    and, once `stop_at_data` is set, sends no reply at the end of a message.
    `takes` is the number of recipients that it accepts in a transaction, `full` the
    reply to the others; `knows` are its extensions; `letters` has the received messages: the MAIL
    command, the RCPT commands, and the content as it was sent, without dot-stuffing."""

    def __init__(self, certificates=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.says, self.got = "250 ok", []
        self.knows, self.letters = [], []
        self.takes, self.full = 1000, "452 4.5.3 too many recipients"
        self.stop_at_data, self.silent, self.go_on = False, threading.Event(), threading.Event()
        self.tls = None
        if certificates:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self._session(connection.makefile("rwb"))
        except (OSError, ValueError):
            pass
        finally:
            connection.close()

    def _session(self, lines):
        def say(text):
            lines.write(text.encode() + b"\r\n")
            lines.flush()

        say("220 peer.example ready")
        recipients, said, chunks = [], [], b""
        for line in lines:
            verb = line[:4].upper()
            said += [line.strip().decode()] if verb in (b"MAIL", b"RCPT") else []
            if verb == b"EHLO":
                for i, word in enumerate(["peer.example", *self.knows]):
                    say(("250 " if i == len(self.knows) else "250-") + word)
            elif verb == b"BDAT":
                chunks += lines.read(int(line.split()[1]))
                if line.split()[-1] == b"LAST":
                    self.letters.append((said, chunks))
                    self.got, recipients, said, chunks = self.got + recipients, [], [], b""
                say("250 2.0.0 taken")
            elif verb == b"RCPT":
                address = line.split(b"<")[1].split(b">")[0].decode()
                reply = self.says if isinstance(self.says, str) else self.says.get(address, "250 ok")
                reply = self.full if len(recipients) >= self.takes else reply
                recipients += [address] if reply.startswith("250") else []
                say(reply)
            elif verb == b"DATA":
                say("354 go on" if recipients else "503 5.5.1 no recipients")
                if recipients:
                    self._content(lines, recipients, said, say)
                recipients, said = [], []
            elif verb == b"AUTH":
                say("235 2.7.0 signed in")
            elif verb == b"QUIT":
                return say("221 bye")
            else:
                say("250 ok")

    def _content(self, lines, recipients, said, say):
        content = []
        while (line := lines.readline()) not in (b".\r\n", b""):
            content.append(line[1:] if line.startswith(b".") else line)
        self.letters.append((said, b"".join(content)))
        if self.stop_at_data:
            self.silent.set()
            self.go_on.wait(PATIENCE)
        self.got += recipients
        say("250 2.0.0 taken")

    def close(self):
        self.go_on.set()
        self.listener.close()


def away_to(port, certificates=None):
    tls = "implicit" if certificates else "none"
    ca = f"  ca_file: {certificates}/ca.pem\n" if certificates else ""
    return f"relay:\n  via: smarthost\n{ca}  smarthost: {{host: localhost, port: {port}, tls: {tls}}}\n"
