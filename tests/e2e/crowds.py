# SPDX-License-Identifier: Apache-2.0
"""A host with very many addresses in its own network namespace. 2001:db8::/32 and 198.18.0.0/15 all belong to
it, so that tests can connect from any of them."""
import contextlib
import ctypes
import os
import re
import socket
import subprocess
import uuid

from mailboat import Mailboat

SERVER6, SERVER4 = "2001:db8::25", "198.18.0.25"
CLONE_NEWNET = 0x40000000


class Crowd:
    def __init__(self):
        self.name = f"mbx-{uuid.uuid4().hex[:6]}"
        self.libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self):
        for command in (f"netns add {self.name}", f"-n {self.name} link set lo up",
                        f"-n {self.name} -6 route add local 2001:db8::/32 dev lo", f"-n {self.name} route add local 198.18.0.0/15 dev lo",
                        f"netns exec {self.name} sysctl -qw net.ipv6.ip_nonlocal_bind=1"):
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    @contextlib.contextmanager
    def inside(self):
        """Makes this thread open its sockets in that namespace."""
        here, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/var/run/netns/{self.name}", os.O_RDONLY)
        try:
            assert self.libc.setns(there, CLONE_NEWNET) == 0
            yield
        finally:
            assert self.libc.setns(here, CLONE_NEWNET) == 0
            os.close(here)
            os.close(there)

    def server(self, folder, certificates, six=True, **options):
        return Mailboat(folder, certificates, address=SERVER6 if six else SERVER4, wrapper=["ip", "netns", "exec", self.name], **options)

    def call(self, server, port, source, timeout=20):
        with self.inside():
            return socket.create_connection((server.address, server.ports[port]), timeout, (source, 0))

    def line(self, server, port, source, timeout=20):
        return Line(self.call(server, port, source, timeout))


class Line:
    """A client that sends lines and reads replies."""

    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rb")
        self.greeting = self.hear()

    def hear(self):
        """Returns the whole reply; "" if the server has closed the connection."""
        said = ""
        try:
            while line := self.file.readline().decode(errors="replace"):
                said += line
                if re.match(r"\d{3} ", line):
                    break
        except ConnectionError:
            pass
        return said

    def say(self, *lines):
        try:
            self.sock.sendall("".join(line + "\r\n" for line in lines).encode())
        except ConnectionError:
            return ""
        for _ in lines:
            reply = self.hear()
        return reply

    def close(self):
        self.file.close()
        self.sock.close()

    def is_open(self):
        try:
            self.sock.setblocking(False)
            return self.sock.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.sock.setblocking(True)
