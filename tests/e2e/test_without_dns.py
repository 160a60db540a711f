# SPDX-License-Identifier: Apache-2.0
"""Without DNS each command names the resolver and its failure, and blames nothing else; a changed resolv.conf
is read again."""
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from mailboat import PROGRAM
from networks import networks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

# Answers each question with RCODE 5, or not at all.
RESOLVER = """
import socket, sys
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    packet, client = door.recvfrom(4096)
    if sys.argv[2] == "refused":
        door.sendto(packet[:2] + bytes([0x81, 0x85]) + packet[4:], client)
"""
SILENT, REFUSES, NOBODY = "192.0.2.53", "192.0.2.54", "192.0.2.55"


class Machine:
    """A machine with a route, a silent resolver, and one that answers REFUSED."""

    def __init__(self):
        self.name = f"mbd-{uuid.uuid4().hex[:6]}"
        self.etc = Path("/etc/netns") / self.name

    def up(self):
        def ip(*arguments):
            subprocess.run(["ip", *arguments], check=True, capture_output=True)
        self.etc.mkdir(parents=True)
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n")
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "add", "eth0", "type", "veth", "peer", "name", "other")
        for device in ("eth0", "other"):
            ip("-n", self.name, "link", "set", device, "up")
        for address in ("192.0.2.10", SILENT, REFUSES, NOBODY):
            ip("-n", self.name, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", self.name, "route", "add", "default", "via", "192.0.2.1")
        self.resolvers = [self._resolver(SILENT, "silent"), self._resolver(REFUSES, "refused")]
        return self

    def _resolver(self, address, how):
        process = subprocess.Popen(["ip", "netns", "exec", self.name, sys.executable, "-c", RESOLVER, address, how], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        return process

    def down(self):
        for process in self.resolvers:
            process.terminate()
            process.wait()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
        for file in self.etc.iterdir():
            file.unlink()
        self.etc.rmdir()

    def cli(self, resolv_conf, *arguments, home):
        (self.etc / "resolv.conf").write_text(resolv_conf)
        return subprocess.run(["ip", "netns", "exec", self.name, str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home)})


@pytest.fixture(scope="module")
def machine():
    machine = Machine().up()
    yield machine
    machine.down()


DAYS = {
    "silent": (f"nameserver {SILENT}\n", f"the resolver {SILENT} does not answer", "resolver-silent"),
    "refused": (f"nameserver {REFUSES}\n", f"the resolver {REFUSES} refuses to answer", "resolver-refuses"),
    "nobody": (f"nameserver {NOBODY}\n", f"the resolver {NOBODY} cannot be reached", "resolver-silent"),
    "several": (f"nameserver {SILENT}\nnameserver {NOBODY}\n", f"the resolver {SILENT}, {NOBODY} does not answer", "resolver-silent"),
    "none": ("# nothing\nsearch example.org\n", "this machine has no DNS resolver", "no-resolver"),
}
SEND = ["send", "--host", "smtp.example.net", "--from", "ada@example.org", "--to", "bob@example.net", "--body", "hello"]


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("command", [SEND, ["ports", "smtp.example.net"], ["ports", "ada@example.net"], ["settings", "ada@example.net"]],
                         ids=["send", "ports", "ports-address", "settings"])
def test_a_command_names_the_resolver_that_it_asked(machine, tmp_path, day, command):
    resolv_conf, says, _ = DAYS[day]
    done = machine.cli(resolv_conf, *command, home=tmp_path)
    assert done.returncode == 75 and says in done.stderr, done.stderr
    assert "operator" not in done.stderr


@pytest.mark.parametrize("day", DAYS)
def test_the_cause_tells_them_apart(machine, tmp_path, day):
    resolv_conf, _, cause = DAYS[day]
    facts = json.loads(machine.cli(resolv_conf, *SEND, "--json", home=tmp_path).stdout)
    assert facts["diagnosis"]["causes"][0]["cause"] == cause
    doctor = json.loads(machine.cli(resolv_conf, "doctor", "--json", home=tmp_path).stdout)
    assert doctor["diagnosis"]["causes"][0]["cause"] == cause
    assert all("its address is not known" in port["reason"] for port in doctor["outgoing"])


def test_dns_says_so_instead_of_many_lines(machine, tmp_path):
    config = tmp_path / "mailboat.conf"
    config.write_text(f"hostname: mail.example.org\ndata_dir: {tmp_path}/data\ndomains: [example.org]\n")
    done = machine.cli(DAYS["silent"][0], "dns", "example.org", "--check", "--config", config, home=tmp_path)
    assert done.returncode == 75 and DAYS["silent"][1] in done.stderr


# ---- the server ----

def test_the_recipients_domain_is_not_blamed_and_a_new_resolv_conf_is_read(tmp_path, certificates):
    with networks(tmp_path / "net") as net:
        resolv_conf = Path("/etc/netns") / net.server / "resolv.conf"
        works = resolv_conf.read_text()
        silent = net.start(net.server, sys.executable, "-c", RESOLVER, "192.0.2.4", "silent", stdout=subprocess.PIPE)
        assert silent.stdout.readline() == b"ready\n"
        resolv_conf.write_text("nameserver 192.0.2.4\n")
        server = net.mailboat(tmp_path / "server", certificates).start()
        server.add_user("ada@example.test", "secret-of-ada")
        server.cli("send", "--from", "ada@example.test", "--to", "bob@nothing-there.example.test", "--body", "hello")
        server.wait_log("deferred", "bob@nothing-there.example.test", "resolver does not answer")
        listed = json.loads(server.cli("queue", "list", "--json").stdout)
        shown = server.cli("explain", listed[0]["id"]).stdout
        assert "192.0.2.4" in shown and "recipient's domain" not in shown
        assert "warning: no DKIM key signs for example.test: Gmail" in shown
        resolv_conf.write_text(works)
        server.wait_log("resolvers_changed", "192.0.2.2")
        server.cli("queue", "retry", "all")
        server.wait_log("bounced", "bob@nothing-there.example.test")
        server.stop()


def test_a_domain_that_fails_alone_is_told_as_such(tmp_path, certificates):
    """The resolver answers for one name, and not for the other."""
    with networks(tmp_path / "net") as net:
        server = net.mailboat(tmp_path / "server", certificates).start()
        server.cli("send", "--from", "ada@example.test", "--to", "bob@nothing-there.example.test", "--body", "hello")
        server.wait_log("bounced", "bob@nothing-there.example.test")
        server.cli("send", "--from", "ada@example.test", "--to", "bob@broken.test", "--body", "hello")
        line = server.wait_log("deferred", "bob@broken.test")[0]
        assert "recipient's domain" in line and "cause" not in line
        server.stop()
