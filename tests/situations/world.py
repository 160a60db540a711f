# SPDX-License-Identifier: Apache-2.0
"""A world for one situation: a machine in a network namespace, with an /etc, an
/etc/resolv.conf and a /sys of its own, and the internet in another one, with a
link between them that has a delay.

    World(Host("mail.example.com", "93.184.215.14", ports={587: Smtp()}),
          way=[drop(25)], here=[refuse(465)], ipv6="dead")

`way` is the firewall between them, `here` the machine's own firewall. Every world
also has Gmail, SendGrid and three public resolvers."""
import itertools
import os
import selectors
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from certificates import BUNDLE, Certificate
from link import Link, inside
from names import Names
from servers import Https, Smtp, serve, smtps

PROGRAM = Path(os.environ.get("MAILBOAT", Path(__file__).resolve().parents[2] / "build" / "mailboat"))
MACHINE_SCRIPT = Path(__file__).with_name("machine.sh")
ROUTER, MACHINE = "192.168.1.1", "192.168.1.23"
ROUTER_6, MACHINE_6 = "2a02:8109:b00:1::1", "2a02:8109:b00:1::23"
RESOLVERS = ("1.1.1.1", "8.8.8.8", "9.9.9.9", "2606:4700:4700::1111")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
numbers = itertools.count()


# ---- firewalls ----

def _rule(ports, to, verdict):
    where = f"{'ip6' if ':' in to else 'ip'} daddr {to} " if to else ""
    return f"{where}{'meta l4proto tcp' if not ports else 'tcp dport { ' + ', '.join(map(str, ports)) + ' }'} {verdict}"


def drop(*ports, to=None):
    return _rule(ports, to, "drop")


def refuse(*ports, to=None):
    return _rule(ports, to, "reject with tcp reset")


def prohibit(*ports, to=None):
    return _rule(ports, to, "reject with icmpx type admin-prohibited")


def no_host(*ports, to=None):
    return _rule(ports, to, "reject with icmpx type host-unreachable")


def unreachable(*ports, to=None):
    """As fail2ban does it."""
    return _rule(ports, to, "reject with icmpx type port-unreachable")


# ---- hosts ----

class Host:
    """`rest`: the other ports: "refused" or "silent". `names`: further names. `silent`: ports its firewall drops."""

    def __init__(self, name, *addresses, ports=None, rest="refused", names=(), silent=()):
        self.name, self.addresses, self.ports, self.rest, self.names, self.silent = name, addresses, ports or {}, rest, names, silent


GMAIL = Smtp("220 smtp.gmail.com ESMTP 5b1f17b1804b1-434aa763acbsm - gsmtp", ("SIZE 35882577", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"),
             auth="LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH")
SENDGRID = Smtp("220 SG ESMTP service ready at geopod-ismtpd-11", ("8BITMIME", "PIPELINING", "SIZE 31457280"), auth="PLAIN LOGIN")
OFFICE = Smtp("220 FR0P281CA0142.outlook.office365.com Microsoft ESMTP MAIL Service ready at Mon, 30 Nov 2026 09:12:44 +0000",
              ("SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"), auth="LOGIN XOAUTH2")


def gmail(**change):
    return Host("smtp.gmail.com", "142.250.102.108", "2a00:1450:4025:401::6c", ports={587: GMAIL, 465: smtps(GMAIL), **change.pop("ports", {})}, rest="silent", **change)


def internet():
    """Returns the hosts of every world."""
    mx = Smtp("220 mx.google.com ESMTP d9443c01a7336-2151si - gsmtp", ("SIZE 157286400", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"), auth=None,
              certificate=Certificate("mx.google.com", "gmail-smtp-in.l.google.com", "*.gmail-smtp-in.l.google.com"))
    web = Https()
    return [gmail(),
            Host("gmail-smtp-in.l.google.com", "142.250.102.27", "2a00:1450:4025:401::1b", ports={25: mx}, rest="silent"),
            Host("smtp.sendgrid.net", "167.89.115.53", ports={25: SENDGRID, 587: SENDGRID, 2525: SENDGRID, 465: smtps(SENDGRID)}),
            Host("www.google.com", "142.250.102.99", "2a00:1450:4025:401::63", ports={443: web, 80: web}, rest="silent", names=("google.com", "www.gmail.com", "gmail.com")),
            Host("api.sendgrid.com", "167.89.115.60", ports={443: web}, names=("sendgrid.com",))]


# ---- a world ----

class World:
    """`dns`: more records; `resolver`: the faults of the network's resolver (see Names), `resolver_at`: its address;
    `resolvers`: of the public ones; `ipv6`: "yes", "none" (no route) or "dead"; `ipv4`: "yes" or "none"; `local`: what
    listens on the machine itself, {port: behaviour}, on `local_at`; `scanner`: a CA that reissues all certificates in transit;
    `portal`: {port: behaviour} that answers for every host; `delay_ms`, `loss`, `hole`: the link's; `files`: of the
    machine; `vendor`: by its DMI; `container`: it is one; `environment`; `bundle`: its CA certificates, `bundle_age`
    days old; `clock`: days that its clock is ahead; `device`, `mtu`: of the default route; `root`: run as root."""

    def __init__(self, *hosts, way=(), here=(), dns=None, resolver=None, resolver_at=ROUTER, resolvers=None, ipv6="yes", ipv4="yes", local=None,
                 local_at="127.0.0.1", local_name="web01.example.org", scanner=None, portal=None, delay_ms=8, loss=0.0, hole=None, files=(), vendor=None,
                 container=False, environment=None, bundle=BUNDLE, clock=0, device="eth0", mtu=1500, redirect_here=(),
                 resolv_conf=None, root=False, bundle_age=10):
        named = {host.name for host in hosts}
        self.hosts = [host for host in internet() if host.name not in named] + list(hosts)
        self.__dict__.update({key: value for key, value in locals().items() if key not in ("self", "hosts", "named")})

    # -- up and down --

    def up(self, folder):
        self.folder, number = Path(folder), f"{os.getpid() % 100000}-{next(numbers)}"
        self.folder.mkdir(parents=True)
        self.near, self.far = f"sn{number}", f"sf{number}"
        self.doors, self.selector = {}, selectors.DefaultSelector()
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "add", name], check=True)
        self.link = Link(self.near, self.far, self.delay_ms, self.loss, self.hole)
        self._addresses()
        self._firewalls()
        self._listen()
        self._machine()
        self.link.start()
        self.wake, self.end = os.pipe()
        self.selector.register(self.wake, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        return self

    def down(self):
        os.write(self.end, b"x")
        self.thread.join()
        self.link.stop()
        for door in self.doors:
            door.close()
        self.selector.close()
        for fd in (self.wake, self.end):
            os.close(fd)
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _addresses(self):
        def ip(namespace, lines):
            subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True)
        device = self.device
        near = ["link set lo up", *([f"link set eth0 name {device}"] if device != "eth0" else []), f"link set {device} mtu {self.mtu}", f"link set {device} up"]
        far = ["link set lo up", "link set eth0 up", f"addr add {ROUTER}/24 dev eth0", f"addr add {ROUTER_6}/64 dev eth0 nodad"]
        if self.ipv4 == "yes":
            near += [f"addr add {MACHINE}/24 dev {device}", f"route add default via {ROUTER}"]
        if self.ipv6 != "none":
            near += [f"addr add {MACHINE_6}/64 dev {device} nodad", f"route add default via {ROUTER_6} dev {device}"]
        own = [*RESOLVERS, *(address for host in self.hosts for address in host.addresses)]
        far += [f"addr add {address}/{128 if ':' in address else 32} dev lo" for address in dict.fromkeys(own)]
        ip(self.near, near)
        ip(self.far, far)

    def _firewalls(self):
        shut = []
        for host in self.hosts:
            for address in host.addresses:
                kind, ports = "ip6" if ":" in address else "ip", ", ".join(map(str, host.ports))
                if host.rest == "silent":
                    shut.append(f"{kind} daddr {address} {'tcp dport != { ' + ports + ' }' if ports else 'meta l4proto tcp'} drop")
                if host.silent:
                    shut.append(drop(*host.silent, to=address))
        if self.ipv6 == "dead":
            shut.append("meta nfproto ipv6 meta l4proto { tcp, udp } drop")
        portal = [f"iifname eth0 tcp dport {port} redirect to :{50000 + port % 10000}" for port in self.portal or {}]
        redirect = [f"oifname {self.device} tcp dport {{ {', '.join(map(str, self.redirect_here))} }} redirect"] if self.redirect_here else []
        self._nft(self.far, "input", [*self.way, *shut], "prerouting", portal)
        self._nft(self.near, "output", list(self.here), "output", redirect)

    def _nft(self, namespace, hook, rules, nat_hook, nat_rules):
        if not rules and not nat_rules:
            return
        lines = ["add table inet filter", f"add chain inet filter {hook} {{ type filter hook {hook} priority 0; }}", *(f"add rule inet filter {hook} {rule}" for rule in rules)]
        if nat_rules:
            lines += [f"add chain inet filter nat {{ type nat hook {nat_hook} priority -100; }}", *(f"add rule inet filter nat {rule}" for rule in nat_rules)]
        subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True)

    # -- servers --

    def _open(self, address, port, behaviour, host, kind=socket.SOCK_STREAM):
        door = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            door.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND: its address may still be tentative
        door.bind((address, port))
        if kind == socket.SOCK_STREAM:
            door.listen(64)
        door.setblocking(False)
        self.doors[door] = behaviour, host
        self.selector.register(door, selectors.EVENT_READ, door)

    def _records(self):
        records = {}
        for host in self.hosts:
            for name in (host.name, *host.names):
                for address in host.addresses:
                    records.setdefault(f"{name} {'AAAA' if ':' in address else 'A'}", []).append(address)
        return {**records, "gmail.com MX": ["10 gmail-smtp-in.l.google.com"], **(self.dns or {})}

    def _listen(self):
        records = self._records()
        with inside(self.far):
            for host in self.hosts:
                for address, (port, behaviour) in itertools.product(host.addresses, host.ports.items()):
                    self._open(address, port, behaviour, host.name)
            for port, behaviour in (self.portal or {}).items():
                self._open("0.0.0.0", 50000 + port % 10000, behaviour, "portal")
                self._open("::", 50000 + port % 10000, behaviour, "portal")
            for address in (ROUTER, *RESOLVERS):
                names = Names(records, self.resolver if address == self.resolver_at else self.resolvers)
                self._open(address, 53, names, "dns", socket.SOCK_DGRAM)
                self._open(address, 53, names.talk, "dns")
        with inside(self.near):
            for port, behaviour in (self.local or {}).items():
                for address in (("127.0.0.1", "::1") if self.local_at == "127.0.0.1" else ("0.0.0.0", "::")):
                    self._open(address, port, behaviour, self.local_name)

    def _accept(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                behaviour, host = self.doors[key.data]
                if isinstance(behaviour, Names):
                    self._answer(key.data, behaviour)
                    continue
                try:
                    connection, _ = key.data.accept()
                except OSError:
                    continue
                threading.Thread(target=serve, args=(behaviour, connection, host, self.scanner), daemon=True).start()

    @staticmethod
    def _answer(door, names):
        try:
            packet, client = door.recvfrom(4096)
            reply = names.answer(packet)
            if reply:
                door.sendto(reply, client)
        except (OSError, IndexError):
            pass

    # -- the machine --

    def _machine(self):
        """Writes the machine's own files, which machine.sh mounts over ours."""
        layer = self.folder / "layer"
        resolv = self.resolv_conf if self.resolv_conf is not None else f"nameserver {self.resolver_at}\n"
        files = {"etc/resolv.conf": resolv, "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n", "etc/password": "correct-horse\n", **dict(self.files)}
        if self.container:
            files[".dockerenv"] = ""
        if self.bundle:
            files["etc/ssl/certs/ca-certificates.crt"] = self.bundle
        (layer / "etc/ssl/certs").mkdir(parents=True)
        for name, content in files.items():
            (layer / name).parent.mkdir(parents=True, exist_ok=True)
            (layer / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        for file in (layer / "etc/ssl/certs").iterdir():
            then = time.time() + (self.clock - self.bundle_age) * 86400
            os.utime(file, (then, then))

    def run(self, *command, timeout=60, program=PROGRAM):
        """Runs a command on the machine, with the program as /usr/bin/mailboat (or another one in its place) and a
        password in /etc/password; returns its output and its exit code."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/home/ada", "LC_ALL": "C.UTF-8", **(self.environment or {})}
        if self.clock:
            environment |= {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{self.clock:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        inner = ["env", "-i", *(f"{key}={value}" for key, value in environment.items()), *map(str, command)]
        return subprocess.run(["ip", "netns", "exec", self.near, "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", str(MACHINE_SCRIPT),
                               str(self.folder / "layer"), self.vendor or "", "0" if self.root else "65534", str(program), *inner],
                              capture_output=True, text=True, errors="replace", timeout=timeout, env={"PATH": os.environ["PATH"]})
