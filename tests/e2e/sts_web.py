#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Serves the MTA-STS policies of a folder: FOLDER/HOST is the answer to
https://HOST/.well-known/mta-sts.txt; FOLDER/asked has a line for each request.
Usage: sts_web.py ADDRESS PEM KEY FOLDER"""
import http.server
import ssl
import sys
from pathlib import Path

address, certificate, key, folder = sys.argv[1:]


class Policy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        host = self.headers.get("Host", "")
        with open(Path(folder) / "asked", "a") as asked:
            asked.write(f"{host} {self.path}\n")
        file = Path(folder) / host
        if host.startswith("mta-sts.moved."):
            self.send_response(302)
            self.send_header("Location", f"https://mta-sts.enforce.plain.test{self.path}")
            self.end_headers()
        elif self.path != "/.well-known/mta-sts.txt" or not file.is_file():
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if host.startswith("mta-sts.html.") else "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(file.read_bytes())

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer((address, 443), Policy)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
