# SPDX-License-Identifier: Apache-2.0
"""The DNS of mail authentication, in a network of its own: nsd has the sender's records,
slow_names.py those of senders whose DNS is slow, and unbound on port 53 is the
caching resolver that every server asks.

In this network everything is over loopback, but a client of 127.0.0.1 comes from CLIENT: servers check no
mail that comes from this machine."""
import base64
import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path

from cases import COLD_DELAY_MS, COLD_LOOKUPS
from loads import FOLDER
from mailboat import free_port
from name_server import NameServer
from peers import unpacked, wait_for_port

CLONE_NEWNET = 0x40000000
CLIENT, CLIENT_NAME = "192.0.2.1", "mx.sender.example"
SENDER_DOMAIN, OWN_DOMAIN, COLD_DOMAIN, SELECTOR = "sender.example", "own.example", "cold.example", "s"
RESOLVER = "127.0.0.1"


@contextlib.contextmanager
def own_network(client=None):
    """Moves this thread, and what it starts, into a new network with loopback alone. `client`: the address
    from which connections to 127.0.0.1 come."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(call, *arguments):
        if call(*arguments) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "network namespace")

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)
    with open("/proc/thread-self/ns/net") as before:
        enter(libc.unshare, CLONE_NEWNET)
        try:
            ip("link", "set", "lo", "up")
            if client is not None:
                ip("address", "add", f"{client}/32", "dev", "lo")
                ip("route", "change", "local", "127.0.0.1", "dev", "lo", "table", "local", "src", client)
            yield
        finally:
            enter(libc.setns, before.fileno(), CLONE_NEWNET)


class Key:
    """An RSA key of 2048 bits: its file and its DKIM record."""

    def __init__(self, folder, name):
        self.file = folder / f"{name}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.file], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.file, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.record = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"

    def zone_line(self, domain):
        strings = " ".join(f'"{self.record[at:at + 255]}"' for at in range(0, len(self.record), 255))
        return f"{SELECTOR}._domainkey.{domain} TXT {strings}"


class Names:
    """The DNS servers. `keys` by domain."""

    def __init__(self, folder):
        self.folder, self.running = Path(folder), []
        self.folder.mkdir()
        self.keys = {domain: Key(self.folder, domain) for domain in (SENDER_DOMAIN, OWN_DOMAIN)}

    def start(self):
        sender, own = (domain.removesuffix(".example") for domain in (SENDER_DOMAIN, OWN_DOMAIN))
        records = [f'{sender} TXT "v=spf1 ip4:{CLIENT} -all"', f'_dmarc.{sender} TXT "v=DMARC1; p=reject"', f"mx.{sender} A {CLIENT}",
                   f'mx.{sender} TXT "v=spf1 a -all"', self.keys[SENDER_DOMAIN].zone_line(sender), self.keys[OWN_DOMAIN].zone_line(own)]
        nsd, slow_port = NameServer(self.folder, "\n".join(records), zone="example"), free_port()
        self.running.append(nsd)
        self.run(sys.executable, FOLDER / "slow_names.py", slow_port, COLD_DELAY_MS, COLD_DOMAIN, CLIENT, COLD_LOOKUPS)
        (self.folder / "unbound.conf").write_text(f"""server:
  interface: {RESOLVER}
  access-control: 127.0.0.0/8 allow
  access-control: {CLIENT}/32 allow
  chroot: ""
  username: ""
  directory: "{self.folder}"
  pidfile: ""
  use-syslog: no
  logfile: "{self.folder}/unbound.log"
  do-not-query-localhost: no
  do-ip6: no
  module-config: "iterator"
  local-zone: "." static
  local-zone: "example." transparent
  local-zone: "2.0.192.in-addr.arpa." static
  local-data-ptr: "{CLIENT} {CLIENT_NAME}"
remote-control:
  control-enable: no
forward-zone:
  name: "example."
  forward-addr: 127.0.0.1@{nsd.port}
forward-zone:
  name: "{COLD_DOMAIN}."
  forward-addr: 127.0.0.1@{slow_port}
""")
        root = unbound_folder()
        self.run(root / "usr/sbin/unbound", "-d", "-c", self.folder / "unbound.conf",
                 env={**os.environ, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu"})
        wait_for_port(53)

    def run(self, *command, **options):
        self.running.append(Program(subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)))

    def stop(self):
        for program in reversed(self.running):
            program.stop()


class Program:
    def __init__(self, process):
        self.process = process

    def stop(self):
        self.process.terminate()
        self.process.wait()


def unbound_folder():
    return unpacked("unbound", "unbound", "libprotobuf-c1", "libpython3.11", "libevent-2.1-7", "libnghttp2-14")


@contextlib.contextmanager
def names(folder, client=None):
    """The network with its DNS."""
    with own_network(client):
        it = Names(folder)
        try:
            it.start()
            yield it
        finally:
            it.stop()
