# SPDX-License-Identifier: Apache-2.0
"""Two hosts in network namespaces of the test: `client`, 192.0.2.1, and
`server`, 192.0.2.2 (2001:db8::1 and ::2), with nsd for the zone and dnsmasq as the resolver on the server, and
nftables between them, so that ports are filtered, refused and redirected as in
real networks."""
import contextlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

from mailboat import PROGRAM, Mailboat
from peers import wait_for_port

SERVER, CLIENT = "192.0.2.2", "192.0.2.1"

ZONE = """$ORIGIN example.test.
$TTL 60
@        IN SOA ns.example.test. admin.example.test. 1 3600 600 86400 60
@        IN NS ns
@        IN MX 10 mail
ns       IN A 192.0.2.2
mail     IN A 192.0.2.2
far      IN A 203.0.113.2
both     IN A 192.0.2.2
both     IN AAAA 2001:db8::2
other    IN A 192.0.2.2
empty    IN TXT "no address here"
_submission._tcp.srv  IN SRV 5 0 2525 mail
_submission._tcp.srv  IN SRV 10 0 587 mail
_submission._tcp.none IN SRV 0 0 0 .
_submissions._tcp.none IN SRV 0 0 0 .
autoconfig.auto IN A 192.0.2.2
xn--bcher-kva IN A 192.0.2.2
a IN MX 10 mx.a
b IN MX 10 mx.b
c IN MX 10 mx.c
mx.a IN A 192.0.2.2
mx.b IN A 192.0.2.3
mx.c IN A 192.0.2.4
smtp.usual IN A 192.0.2.2
www.bare  IN A 192.0.2.2
"""


class Networks:
    def __init__(self, folder, reverse=False):
        """`reverse`: nsd also serves the reverse names of 192.0.2.0/24 and 2001:db8::/32."""
        self.folder = Path(folder)
        self.reverse = reverse
        mark = uuid.uuid4().hex[:6]
        self.client, self.server = f"mbc-{mark}", f"mbs-{mark}"
        self.running, self.hosts = [], []
        self.folder.mkdir(parents=True, exist_ok=True)

    def up(self):
        def ip(*arguments):
            subprocess.run(["ip", *arguments], check=True, capture_output=True)
        for name in (self.client, self.server):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            etc = Path("/etc/netns") / name
            etc.mkdir(parents=True, exist_ok=True)
            (etc / "resolv.conf").write_text(f"nameserver {SERVER}\n")
            (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        ip("link", "add", "eth0", "netns", self.client, "type", "veth", "peer", "name", "eth0", "netns", self.server)
        for name, end in ((self.client, 1), (self.server, 2)):
            ip("-n", name, "addr", "add", f"192.0.2.{end}/24", "dev", "eth0")
            ip("-n", name, "addr", "add", f"2001:db8::{end}/64", "dev", "eth0", "nodad")
            ip("-n", name, "link", "set", "eth0", "up")
        for more in (3, 4):  # addresses of further servers, by name
            ip("-n", self.server, "addr", "add", f"192.0.2.{more}/24", "dev", "eth0")
        self.nft("add table inet mail", "add chain inet mail input { type filter hook input priority 0; }",
                 "add chain inet mail divert { type nat hook prerouting priority -100; }")
        self.dns(ZONE)
        return self

    def add_host(self):
        """Adds a host behind the server, 198.51.100.2, which the client can reach too; the server is
        198.51.100.1 there. Returns its name."""
        def ip(*arguments):
            subprocess.run(["ip", *arguments], check=True, capture_output=True)
        name = self.server.replace("mbs-", "mbh-")
        self.hosts.append(name)
        ip("netns", "add", name)
        etc = Path("/etc/netns") / name
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "resolv.conf").write_text(f"nameserver {SERVER}\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", "eth1", "netns", self.server)
        for where, device, end in ((self.server, "eth1", 1), (name, "eth0", 2)):
            ip("-n", where, "addr", "add", f"198.51.100.{end}/24", "dev", device)
            ip("-n", where, "link", "set", device, "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "route", "add", "default", "via", "198.51.100.1")
        ip("-n", self.client, "route", "add", "198.51.100.0/24", "via", SERVER)
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", where=self.server, check=True)
        return name

    def down(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()
        for name in (self.client, self.server, *self.hosts):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            etc = Path("/etc/netns") / name
            for file in etc.glob("*"):
                file.unlink()
            with contextlib.suppress(OSError):
                etc.rmdir()

    # ---- firewall rules ----

    def nft(self, *commands):
        subprocess.run(["ip", "netns", "exec", self.server, "nft", "-f", "-"], input="\n".join(commands) + "\n", text=True, check=True)

    def clear(self):
        self.nft("flush chain inet mail input", "flush chain inet mail divert")

    def drop(self, *ports):
        for port in ports:
            self.nft(f"add rule inet mail input tcp dport {port} drop")

    def refuse(self, *ports):
        for port in ports:
            self.nft(f"add rule inet mail input tcp dport {port} reject with tcp reset")

    def redirect(self, port, to):
        self.nft(f"add rule inet mail divert tcp dport {port} redirect to :{to}")

    # ---- programs ----

    def start(self, where, *command, **options):
        """Starts a program on a host; it is stopped with the networks."""
        process = subprocess.Popen(["ip", "netns", "exec", where, *map(str, command)], **options)
        self.running.append(process)
        return process

    def run(self, *command, where=None, check=False, timeout=60, **options):
        return subprocess.run(["ip", "netns", "exec", where or self.client, *map(str, command)], check=check, capture_output=True, text=True,
                              timeout=timeout, **options)

    def dns(self, zone):
        (self.folder / "example.test.zone").write_text(zone)
        (self.folder / "broken.test.zone").write_text("this is no zone\n")
        (self.folder / "nsd.conf").write_text(f"""server:
  ip-address: 127.0.0.1@5300
  zonesdir: "{self.folder}"
  database: ""
  username: ""
  chroot: ""
  pidfile: "{self.folder}/nsd.pid"
  xfrdfile: "{self.folder}/xfrd"
  zonelistfile: "{self.folder}/zones"
  server-count: 1
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: example.test
  zonefile: example.test.zone
""" + "".join(f"zone:\n  name: {zone}\n  zonefile: reverse.zone\n" for zone in self.reverse_zones()))
        self.change_reverse("")
        self.start_nsd()
        self.start(self.server, "dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "--user=root", "--pid-file=", "--bind-interfaces", f"--listen-address={SERVER}",
                   "--server=/example.test/127.0.0.1#5300", *(f"--server=/{zone}/127.0.0.1#5300" for zone in self.reverse_zones()), "--cache-size=0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_port(53)

    def reverse_zones(self):
        return ["arpa"] if self.reverse else []

    def change_reverse(self, lines):
        """Changes reverse names; takes effect with the next change_zone()."""
        (self.folder / "reverse.zone").write_text("$ORIGIN arpa.\n$TTL 60\n@ IN SOA ns.example.test. root.example.test. 1 60 60 60 60\n"
                                                  "@ IN NS ns.example.test.\n" + lines)

    def start_nsd(self):
        self.nsd = self.start(self.server, "nsd", "-d", "-c", self.folder / "nsd.conf", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def change_zone(self, zone):
        """Replaces the zone that DNS serves."""
        (self.folder / "example.test.zone").write_text(zone)
        self.nsd.terminate()
        self.nsd.wait()
        self.start_nsd()
        self.wait_port(5300, address="127.0.0.1")

    def wait_port(self, port, where=None, address=SERVER):
        """Waits until the port answers on the server itself."""
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from peers import wait_for_port; wait_for_port({port}, '{address}')"
        self.run(sys.executable, "-c", code, where=where or self.server, check=True)

    def mailboat(self, folder, certificates, **options):
        """Returns a Mailboat server on the server host with the four standard ports."""
        server = Mailboat(folder, certificates, address="0.0.0.0", domains=("example.test",), wrapper=["ip", "netns", "exec", self.server], **options)
        server.ports = {port: port for port in server.ports}
        return server

    def cli(self, *arguments, home=None, **options):
        """Runs a subcommand on the client host with its own home directory."""
        environment = {**os.environ, "HOME": str(home or self.folder / "home")}
        environment.pop("XDG_STATE_HOME", None)
        return self.run(str(PROGRAM), *arguments, env=environment, **options)


@contextlib.contextmanager
def networks(folder, **options):
    net = Networks(folder, **options)
    try:
        yield net.up()
    finally:
        net.down()
