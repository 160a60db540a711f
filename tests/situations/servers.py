# SPDX-License-Identifier: Apache-2.0
"""Servers for the ports of a host. Each function returns a behaviour: a function of the connection and the
host's name that talks until the connection ends."""
import socket
import ssl
import struct
import time

from certificates import Certificate

PATIENCE = 25  # seconds that a server waits for its client


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Smtp:
    """A mail server. `tls`: "starttls", "implicit" or None; `starttls`: its reply to STARTTLS; `greeting` and each line
    of `ehlo` may say {host}; `replies`: to AUTH, MAIL, RCPT, DATA, EHLO and "." where it is not content, or, for EHLO,
    "reset" or "close"; `greet_after`: seconds of silence; `drip`: seconds for each octet; `masked`: as Cisco's
    firewalls do it; `stripped`: the STARTTLS line is removed in transit; `at_hello`: "reset", "close", "mute" or
    "text" in place of an answer to the ClientHello; `auth`: the mechanisms; `hello`: the first line of the EHLO reply;
    `odd`: changes each word of it; `ehlo_after`: seconds before it; `teaser`: the first line of the greeting, sent
    before the silence."""

    def __init__(self, greeting="220 {host} ESMTP Postfix", ehlo=("PIPELINING", "SIZE 52428800", "8BITMIME"), tls="starttls", certificate=None,
                 starttls="220 2.0.0 Ready to start TLS", auth="PLAIN LOGIN", replies=None, greet_after=0, drip=0, masked=False, stripped=False,
                 at_hello=None, odd=None, hello="{host}", ehlo_after=0, teaser=None):
        self.greeting, self.ehlo, self.tls, self.certificate = greeting, ehlo, tls, certificate or Certificate()
        self.starttls, self.auth, self.replies = starttls, auth, replies or {}
        self.greet_after, self.drip, self.masked, self.stripped, self.at_hello, self.odd = greet_after, drip, masked, stripped, at_hello, odd
        self.hello, self.ehlo_after, self.teaser = hello, ehlo_after, teaser

    def changed(self, **options):
        new = Smtp.__new__(Smtp)
        new.__dict__.update(self.__dict__)
        new.__dict__.update(options)
        return new

    def __call__(self, connection, host, scanner=None):
        Dialogue(self, connection, host, scanner).run()


class Dialogue:
    def __init__(self, server, connection, host, scanner):
        self.server, self.connection, self.host, self.scanner = server, connection, host, scanner
        self.secured = False

    def say(self, text):
        """Sends a reply of one or more lines, with the hyphens."""
        lines = text.format(host=self.host, ip=self.connection.getpeername()[0]).split("\n")
        code = lines[0][:3]
        out = "".join(f"{code}{' ' if i == len(lines) - 1 else '-'}{line[4:] if i == 0 else line}\r\n" for i, line in enumerate(lines)).encode()
        for piece in ([bytes([octet]) for octet in out] if self.server.drip else [out]):
            self.connection.sendall(piece)
            time.sleep(self.server.drip)

    def begin_tls(self):
        how = self.server.at_hello
        if how is not None:
            self.connection.recv(4096)
            if how == "text":
                self.connection.sendall(b"500 5.5.1 Command unrecognized\r\n")
            if how == "mute":
                while self.connection.recv(4096):
                    pass
            reset(self.connection) if how == "reset" else self.connection.close()
            raise OSError("as told")
        by = self.scanner if self.server.certificate.by != "itself" else None
        self.connection = self.server.certificate.context(self.host, by).wrap_socket(self.connection, server_side=True)
        self.secured = True

    def run(self):
        server = self.server
        if server.tls == "implicit":
            self.begin_tls()
        if server.teaser:
            self.connection.sendall(f"220-{server.teaser}\r\n".encode())
        time.sleep(server.greet_after)
        greeting = server.greeting
        if server.masked:
            greeting = "220 " + "".join("2" if c == "2" and i % 5 == 0 else "*" for i, c in enumerate(greeting[4:] * 3))
        self.say(greeting)
        if greeting[:1] not in "23":
            return
        self.lines = self.connection.makefile("rb")
        while True:
            line = self.lines.readline()
            if not line:
                return
            verb = line.decode(errors="replace").strip().split(" ")[0].upper()
            if not getattr(self, "on_" + verb.lower(), self.on_unknown)(line):
                return

    def on_ehlo(self, _):
        reply = self.server.replies.get("EHLO")
        if reply in ("reset", "close"):
            reset(self.connection) if reply == "reset" else self.connection.close()
            return False
        if reply:
            self.say(reply)
            return reply[0] == "2" or reply[0] == "5"
        words = list(self.server.ehlo)
        offers_tls = self.server.tls == "starttls" and not self.secured
        if offers_tls and not self.server.stripped:
            words.append("XXXXXXXA" if self.server.masked else "STARTTLS")
        if self.server.auth and (self.secured or self.server.tls is None):
            words.append(f"AUTH {self.server.auth}")
        if self.server.odd:
            words = [self.server.odd(word) for word in words]
        time.sleep(self.server.ehlo_after)
        self.say("250 " + "\n".join([self.server.hello, *words]))
        return True

    on_helo = on_ehlo

    def on_starttls(self, line):
        if self.server.masked or self.server.stripped or self.server.tls != "starttls" or self.secured:
            return self.on_unknown(line)
        self.say(self.server.starttls)
        if self.server.starttls.startswith("220"):
            self.begin_tls()
            self.lines = self.connection.makefile("rb")
        return True

    def on_unknown(self, _):
        self.say("500 5.5.1 Command unrecognized")
        return True

    def on_auth(self, line):
        if b"LOGIN" in line.upper() or b"CRAM" in line.upper():
            self.say("334 VXNlcm5hbWU6")
            self.lines.readline()
            self.say("334 UGFzc3dvcmQ6")
            self.lines.readline()
        elif len(line.split()) < 3:
            self.say("334 ")
            self.lines.readline()
        self.say(self.server.replies.get("AUTH", "235 2.7.0 Authentication successful"))
        return True

    def on_mail(self, _):
        self.say(self.server.replies.get("MAIL", "250 2.1.0 Ok"))
        return True

    def on_rcpt(self, _):
        self.say(self.server.replies.get("RCPT", "250 2.1.5 Ok"))
        return True

    def on_rset(self, _):
        self.say("250 2.0.0 Ok")
        return True

    on_noop = on_rset

    def on_data(self, _):
        reply = self.server.replies.get("DATA", "354 End data with <CR><LF>.<CR><LF>")
        self.say(reply)
        if reply[0] == "3":
            while self.lines.readline() not in (b".\r\n", b""):
                pass
            self.say(self.server.replies.get(".", "250 2.0.0 Ok: queued as 4F1C2D"))
        return True

    def on_quit(self, _):
        self.say("221 2.0.0 Bye")
        return False


def smtps(server=None, **options):
    """A mail server with implicit TLS."""
    return (server or Smtp()).changed(tls="implicit", **options)


def banner(text):
    """A server of another protocol that speaks first: IMAP, POP3, SSH."""
    def talk(connection, host, scanner=None):
        connection.sendall(text.format(host=host).encode() + b"\r\n")
        while connection.recv(4096):
            connection.sendall(b"* BAD Invalid command\r\n" if text.startswith("*") else b"")
    return talk


SSH = banner("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3")
IMAP = banner("* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS AUTH=PLAIN] Dovecot ready.")


def http(reply="HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", first=False):
    """A web server: waits for a request, except with `first`."""
    def talk(connection, host, scanner=None):
        if not first:
            connection.settimeout(PATIENCE)
            connection.recv(4096)
        connection.sendall(reply.encode())
    return talk


PORTAL = http("HTTP/1.1 302 Found\r\nLocation: http://login.hotel-wifi.example/?orig=smtp\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


class Https:
    """A web server with TLS."""

    def __init__(self, certificate=None, says=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"):
        self.certificate, self.says = certificate or Certificate(), says

    def __call__(self, connection, host, scanner=None):
        context = self.certificate.context(host, scanner)
        context.set_alpn_protocols(["http/1.1"])
        with context.wrap_socket(connection, server_side=True) as client:
            client.recv(4096)
            client.sendall(self.says)


def mute(connection, host, scanner=None):
    while connection.recv(4096):
        pass


def close(connection, host, scanner=None):
    connection.close()


def cut(connection, host, scanner=None):
    reset(connection)


def serve(behaviour, connection, host, scanner):
    """Serves one connection, and ignores its errors."""
    try:
        connection.settimeout(PATIENCE)
        behaviour(connection, host, scanner)
    except (OSError, ssl.SSLError, ValueError):
        pass
    finally:
        connection.close()
