# SPDX-License-Identifier: Apache-2.0
"""Routes of outgoing mail and their limits: routes by domain, silent addresses, dead destinations. In network
namespaces with DNS and port 25."""
import os
import time
from datetime import datetime

import pytest

from mailboat import PROGRAM, make_certificates
from networks import SERVER, networks
from peers import postfix_environment, postfix_folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def sink(net, address, port, *options):
    net.start(net.server, postfix_folder() / "usr/sbin/smtp-sink", "-u", "root", *options, f"{address}:{port}", "1000", env=postfix_environment())
    net.wait_port(port)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with networks(tmp_path_factory.mktemp("net")) as world:
        world.certificates = make_certificates(tmp_path_factory.mktemp("tls"), "mail.example.test")
        sink(world, "0.0.0.0", 25)
        sink(world, SERVER, 2626)
        sink(world, SERVER, 2627)
        yield world


@pytest.fixture
def relay(net, tmp_path):
    """Starts Mailboat on the client's host with these lines of `relay:`."""
    running = []

    def start(lines, extra="queue: {retry: {first: 2s, max: 2s}}\n"):
        server = net.mailboat(tmp_path / "relay", net.certificates, extra=extra, relay=f"relay:\n{lines}")
        server.domains, server.wrapper = ("here.test",), ["ip", "netns", "exec", net.client]
        running.append(server.start())
        return server
    net.clear()
    yield start
    for server in running:
        server.stop()
    net.clear()


def submit(net, server, *to):
    net.run(PROGRAM, "send", "--config", server.config, "--from", "ada@here.test", *(w for t in to for w in ("--to", t)), "--body", "hello", check=True)


def moment(line):
    return datetime.fromisoformat(line.split()[0].removeprefix("time=").replace("Z", "+00:00")).timestamp()


def test_the_most_exact_route_leads(net, relay):
    server = relay(f"""  via: mx
  smarthost: {{host: {SERVER}, port: 2627, tls: starttls}}
  routes:
    - {{domain: a.example.test, host: other.example.test, port: 2626, tls: none}}
    - {{domain: "*.example.test", host: {SERVER}, port: 2627, tls: may}}
    - {{domain: b.example.test, via: mx}}
    - {{domain: strict.example.test, host: {SERVER}, port: 2626, tls: encrypt}}
    - {{domain: by.example.test, via: smarthost}}
""")
    submit(net, server, "x@A.example.test", "x@b.example.test", "x@c.example.test", "x@deep.down.example.test", "x@strict.example.test", "x@by.example.test")
    server.wait_log("delivered", "to=x@A.example.test", "peer=other.example.test[192.0.2.2]:2626")
    server.wait_log("delivered", "to=x@b.example.test", "peer=mx.b.example.test[192.0.2.3]:25")
    server.wait_log("delivered", "to=x@c.example.test", "peer=192.0.2.2[192.0.2.2]:2627")
    server.wait_log("delivered", "to=x@deep.down.example.test", "peer=192.0.2.2[192.0.2.2]:2627")
    for domain in ("strict", "by"):  # the sink has no TLS: these wait, and are not sent without TLS
        server.wait_log("deferred", f"to=x@{domain}.example.test", "[192.0.2.2]:262")
        assert not server.lines("delivered", f"to=x@{domain}.example.test")
    assert not server.lines("bounced")


def test_a_destination_gets_its_messages_at_its_rate(net, relay):
    server = relay("  routes:\n    - {domain: a.example.test, rate: 120}\n")
    for _ in range(5):
        submit(net, server, "x@a.example.test")
    submit(net, server, "y@b.example.test")
    times = sorted(moment(line) for line in server.wait_log("delivered", "to=x@a.example.test", count=5))
    assert all(0.4 < later - before < 2 for before, later in zip(times[1:], times[2:])), times
    assert moment(server.wait_log("delivered", "to=y@b.example.test")[0]) < times[-1]  # a destination without a rate limit does not wait for them


def test_a_silent_address_costs_a_moment(net, relay):
    net.nft("add rule inet mail input meta nfproto ipv6 tcp dport 25 drop")
    server = relay("  via: mx\n")
    started = time.monotonic()
    submit(net, server, "x@both.example.test")
    server.wait_log("delivered", "to=x@both.example.test", "peer=both.example.test[192.0.2.2]:25")
    assert time.monotonic() - started < 5


def test_a_refusing_address_costs_nothing(net, relay):
    net.nft("add rule inet mail input meta nfproto ipv6 tcp dport 25 reject with tcp reset")
    server = relay("  via: mx\n")
    submit(net, server, "x@both.example.test")
    server.wait_log("delivered", "to=x@both.example.test", "peer=both.example.test[192.0.2.2]:25", timeout=5)


def test_a_dead_destination_delays_nobody(net, relay):
    """More messages than the concurrency limit wait for a silent server; one for another server is sent immediately."""
    net.nft("add rule inet mail input ip daddr 192.0.2.4 tcp dport 25 drop")
    server = relay("  via: mx\n", extra="")
    for i in range(8):
        submit(net, server, f"u{i}@c.example.test")
    started = time.monotonic()
    submit(net, server, "x@a.example.test")
    server.wait_log("delivered", "to=x@a.example.test", timeout=10)
    assert time.monotonic() - started < 5
    assert not server.lines("delivered", "@c.example.test")
