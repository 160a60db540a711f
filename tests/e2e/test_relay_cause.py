# SPDX-License-Identifier: Apache-2.0
"""The reason for a failed connection to a destination's server contains the cause and a step; the network is
blamed only if several servers are silent."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailboat import Mailboat, make_certificate
from networks import networks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
ADDRESSES = ["93.184.215.20", "142.250.102.27", "52.98.16.211"]  # only in these namespaces: a documentation address would itself be the cause
ZONE = """$ORIGIN example.test.
$TTL 60
@ IN SOA ns hostmaster 1 60 60 60 60
@ IN NS ns
ns IN A 192.0.2.2
""" + "".join(f"d{i} IN MX 10 mx{i}.d{i}\nmx{i}.d{i} IN A {address}\n" for i, address in enumerate(ADDRESSES))


@pytest.fixture(scope="module")
def world(tmp_path_factory, certificates):
    """Mailboat on the client, which relays to three hosts on the other side; a firewall controls their port 25."""
    with networks(tmp_path_factory.mktemp("net")) as net:
        net.change_zone(ZONE)
        subprocess.run(["ip", "-n", net.client, "route", "add", "default", "via", "192.0.2.2"], check=True)
        for address in ADDRESSES:
            subprocess.run(["ip", "-n", net.server, "addr", "add", f"{address}/32", "dev", "lo"], check=True)
        yield net


@pytest.fixture
def server(world, tmp_path, certificates):
    world.clear()
    server = Mailboat(tmp_path / "server", certificates, domains=("sender.test",), wrapper=["ip", "netns", "exec", world.client],
                      relay="relay: {via: mx}\n").start()
    yield server
    server.stop()


def send(server, destination):
    to = f"bob@d{destination}.example.test"
    server.cli("send", "--from", "ada@sender.test", "--to", to, "--body", "hello")
    return to


def test_a_refused_port_is_the_servers(world, server):
    world.refuse(25)
    line = server.wait_log("deferred", send(server, 0))[0]
    cause = "; cause: no mail server listens on 25 of mx0.d0.example.test"
    assert cause in line
    listed = json.loads(server.cli("queue", "list", "--json").stdout)
    for command in ("explain", ("queue", "show")):
        assert cause in server.cli(*([command] if isinstance(command, str) else command), listed[0]["id"]).stdout


def test_one_silent_server_blames_nobody_and_several_the_network(world, server):
    world.drop(25)
    recipients = [send(server, destination) for destination in range(3)]
    lines = [server.wait_log("deferred", to, timeout=60)[0] for to in recipients]
    blamed = [line for line in lines if "; cause: " in line]
    assert len(blamed) == 1 and "; cause: outgoing 25 is blocked" in blamed[0] and "smarthost" in blamed[0], lines


# ---- TLS ----

CUT = """import socketserver
class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 peer\\r\\n")
        for line in self.rfile:
            tls = line.upper().startswith(b"STARTTLS")
            self.wfile.write(b"220 go\\r\\n" if tls else b"250-peer\\r\\n250 STARTTLS\\r\\n")
            if tls:
                self.rfile.peek(1)
                return
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("%s", 25), Session).serve_forever()
"""
BAD_TLS = {
    "expired": ({"expired": True}, "the certificate of mx0.d0.example.test expired on 1 Feb 2020"),
    "early": ({"early": True}, "the certificate of mx0.d0.example.test is valid from 1 Jan 2099 on: this machine's clock may be wrong"),
    "other name": ({"names": ["www.hosting.example"]}, "the certificate of mx0.d0.example.test is for another name (www.hosting.example)"),
    "self-signed": ({"self_signed": True}, "self-signed"),
    "cut": (None, "the connection to mx0.d0.example.test is cut as soon as TLS begins"),
}


@pytest.mark.parametrize("kind", BAD_TLS)
def test_what_is_wrong_with_tls_is_the_cause(world, tmp_path, certificates, kind):
    """If the configuration requires a verified server, the reason names the TLS problem."""
    wrong, cause = BAD_TLS[kind]
    world.clear()
    if wrong is None:
        peer = world.start(world.server, sys.executable, "-c", CUT % ADDRESSES[0])
    else:
        names = wrong.pop("names", ["mx0.d0.example.test"])
        make_certificate(certificates, tmp_path, "bad", *names, **wrong)
        peer = world.start(world.server, sys.executable, Path(__file__).with_name("tls_peer.py"), ADDRESSES[0], tmp_path / "log",
                           "--cert", tmp_path / "bad.pem", tmp_path / "bad.key", stdout=subprocess.DEVNULL)
    server = Mailboat(tmp_path / "server", certificates, domains=("sender.test",), wrapper=["ip", "netns", "exec", world.client],
                      relay=f"relay: {{via: mx, ca_file: {certificates / 'ca.pem'}, tls: {{\"*\": verify}}}}\n").start()
    try:
        world.wait_port(25, address=ADDRESSES[0])
        line = server.wait_log("deferred", send(server, 0))[0]
        assert "; cause: " in line and cause in line.partition("; cause: ")[2], line
        assert not (tmp_path / "log").exists()  # no message was sent
    finally:
        server.stop()
        peer.terminate()
        peer.wait()
