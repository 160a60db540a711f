# SPDX-License-Identifier: Apache-2.0
"""Simulates faulty middleboxes between a client and its server, as a program:
`middleboxes.py KIND PORT [UPSTREAM_HOST UPSTREAM_PORT [CERT KEY]]`.

portal    answers any request as a web server does
mask      forwards SMTP and writes XXXXXXXA over STARTTLS
strip     forwards SMTP and removes the STARTTLS line
refuse    forwards SMTP and answers STARTTLS with 500
decline   forwards SMTP and answers STARTTLS with 454
busy      greets with 421
mute      accepts connections and sends nothing
drip      sends its greeting at one octet per second
The client's data is written to stdout, so that a test can look for secrets.
"""
import socket
import sys
import threading
import time


def portal(client, *_):
    client.recv(4096)
    client.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n")


def busy(client, *_):
    client.sendall(b"421 4.3.2 greylisted, come back in a while\r\n")


def latin(client, *_):
    client.sendall("421 4.3.2 sp\u00e4ter wieder\r\n".encode("latin-1"))


def mute(client, *_):
    while client.recv(4096):
        pass


def drip(client, *_):
    for octet in b"220 a very slow server\r\n":
        client.sendall(bytes([octet]))
        time.sleep(1)


def change(kind, line):
    if kind == "mask":
        return line.replace(b"STARTTLS", b"XXXXXXXA")
    if kind == "strip" and line[4:].strip() == b"STARTTLS":
        return b""
    return line


def pass_on(kind, client, host, port):
    upstream = socket.create_connection((host, int(port)), 10)

    def down():
        for line in upstream.makefile("rb"):
            client.sendall(change(kind, line))
    threading.Thread(target=down, daemon=True).start()
    for line in client.makefile("rb"):
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        if kind == "refuse" and line.strip().upper() == b"STARTTLS":
            client.sendall(b"500 5.5.1 command unrecognized\r\n")
        elif kind == "decline" and line.strip().upper() == b"STARTTLS":
            client.sendall(b"454 4.7.0 TLS is not available now\r\n")
        else:
            upstream.sendall(line)
    upstream.close()


def serve(kind, port, host=None, upstream=None):
    door = socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    kinds = {"portal": portal, "busy": busy, "latin": latin, "mute": mute, "drip": drip}

    def talk(client):
        try:
            with client:
                kinds.get(kind, lambda c, h, p: pass_on(kind, c, h, p))(client, host, upstream)
        except OSError:
            pass
    while True:
        client, _ = door.accept()
        threading.Thread(target=talk, args=(client,), daemon=True).start()


serve(*sys.argv[1:])
