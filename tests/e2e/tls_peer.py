#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A mail server with the given TLS certificate or none: it accepts everything and
writes one line per message: "tls" or "clear", the requested server name, whether
the session was resumed, and MAIL's parameters.
Usage: tls_peer.py ADDRESS LOG [--cert PEM KEY] [--requiretls]"""
import argparse
import socketserver
import ssl

parser = argparse.ArgumentParser()
parser.add_argument("address")
parser.add_argument("log")
parser.add_argument("--cert", nargs=2)
parser.add_argument("--requiretls", action="store_true")
options = parser.parse_args()
context = None
if options.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*options.cert)
    context.sni_callback = lambda connection, name, _: setattr(connection, "asked_for", name)


class Session(socketserver.StreamRequestHandler):
    def say(self, *lines):
        for i, line in enumerate(lines):
            self.wfile.write(f"{line[:3]}{' ' if i == len(lines) - 1 else '-'}{line[4:]}\r\n".encode())
        self.wfile.flush()

    def start_tls(self):
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")

    def handle(self):
        try:
            self.talk()
        except (OSError, ssl.SSLError):
            pass

    def talk(self):
        mail, secured = "", False
        self.say("220 peer")
        for line in iter(lambda: self.rfile.readline(), b""):  # STARTTLS replaces rfile
            words = line.decode().strip()
            verb = words.split(" ")[0].upper()
            if verb == "EHLO":
                more = ["250 STARTTLS"] if context and not secured else []
                self.say("250 peer", *more, *(["250 REQUIRETLS"] if options.requiretls and secured else []), "250 PIPELINING")
            elif verb == "STARTTLS" and context:
                self.say("220 go")
                self.start_tls()
                secured = True
            elif verb == "DATA":
                self.say("354 go")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                with open(options.log, "a") as log:
                    resumed = secured and self.connection.session_reused
                    log.write(f"{'tls' if secured else 'clear'} {getattr(self.connection, 'asked_for', None)} {'resumed' if resumed else 'fresh'} {mail}\n")
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                mail = words if verb == "MAIL" else mail
                self.say("250 ok")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


with Server((options.address, 25), Session) as server:
    print("ready", flush=True)
    server.serve_forever()
