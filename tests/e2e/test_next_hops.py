# SPDX-License-Identifier: Apache-2.0
"""Unusual names and addresses of next hops in DNS: underscores, mail that would return to this machine, very
many servers. In network namespaces, by MX, on port 25."""
import contextlib
import os
import subprocess
import time

import pytest

from mailboat import PROGRAM, Mailboat, make_certificates, until
from networks import CLIENT, SERVER, ZONE, networks
from peers import postfix_environment, postfix_folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

# A domain whose only MX has these addresses, none of which may be called. The machine is CLIENT, 2001:db8::1.
SELF = {
    "l127": ["127.0.0.1"], "l127b": ["127.255.1.2"], "l0": ["0.0.0.0"], "l1": ["::1"], "lany": ["::"],
    "lmapped": ["::ffff:127.0.0.1"], "lnat64": ["64:ff9b::127.0.0.1"], "l6to4": ["2002:7f00:1::1"],
    "own4": [CLIENT], "own6": ["2001:db8::1"], "ownmapped": [f"::ffff:{CLIENT}"],
    "several": ["127.0.0.1", "::1", CLIENT, "224.0.0.1"],
}
NOBODY = {"link4": ["169.254.169.254"], "link6": ["fe80::1"], "many4": ["224.0.0.1"], "many6": ["ff02::1"],
          "reserved": ["240.0.0.1"], "all": ["255.255.255.255"]}
DEAD = "192.0.2.5"  # refuses connections
UNROUTED = "198.18"  # has no route


def addresses(name, of):
    return "".join(f"{name} IN {'AAAA' if ':' in a else 'A'} {a}\n" for a in of)


def many(domain, preferences, good):
    """Returns hosts with these preferences; number `good` works, the others refuse connections."""
    hosts = [f"h{i}.{domain}" for i in range(len(preferences))]
    return "".join(f"{domain} IN MX {p} {hosts[i]}\n" + addresses(hosts[i], [SERVER if i == good else DEAD])
                   for i, p in enumerate(preferences))


def zone():
    text = ZONE + addresses("_dc-mx.0123abcd.cloud", [SERVER]) + addresses("implicit_name", [SERVER]) + f"""
cloud IN MX 10 _dc-mx.0123abcd.cloud
my_domain IN MX 10 _dc-mx.0123abcd.cloud
alias IN MX 10 my_alias
my_alias IN CNAME _dc-mx.0123abcd.cloud
number IN MX 10 {SERVER}.
mixed IN MX 10 mx.l127
mixed IN MX 20 mail
half IN MX 10 half
backup IN MX 10 h.backup
backup IN MX 20 mx.example.org.
backup IN MX 30 mail
named IN MX 10 localhost.
zeroes IN MX 10 0.0.0.0.
best IN MX 10 mx.example.org.
best IN MX 20 mail
comes IN MX 10 comes
inside IN MX 10 inside
"""
    text += addresses("half", ["127.0.0.1", SERVER, "::1"]) + addresses("h.backup", [DEAD])
    text += addresses("comes", ["192.0.2.77"]) + addresses("inside", ["10.9.9.9"])
    for name, of in {**SELF, **NOBODY}.items():
        text += f"{name} IN MX 10 mx.{name}\n" + addresses(f"mx.{name}", of)
    text += many("h17", range(10, 27), 16) + many("h50", range(10, 60), 49) + many("h51", range(10, 61), 50)
    for name, good in (("first", 0), ("fiftieth", 49), ("thousandth", 999)):
        text += many(name, range(10, 1010), good)
    text += "".join(f"equals IN MX 10 e{i}.equals\n" for i in range(1000))
    text += "".join(addresses(f"e{i * 50}.equals", [SERVER]) for i in range(20))
    for count in (17, 50):
        text += f"a{count} IN MX 10 mx.a{count}\n"
        text += addresses(f"mx.a{count}", [f"{UNROUTED}.0.{i}" for i in range(1, count)] + [SERVER])
    for length in (11, 12):
        text += "".join(f"c{i}.chain{length} IN CNAME c{i + 1}.chain{length}\n" for i in range(length))
        text += addresses(f"c{length}.chain{length}", [SERVER]) + f"chain{length} IN MX 10 c0.chain{length}\n"
    for domain, texts in (("sts", 0), ("texts", 1000)):  # a policy host at this machine; its record among others
        text += f"{domain} IN MX 10 mail\n" + addresses(f"mta-sts.{domain}", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
        text += "".join(f'_mta-sts.{domain} IN TXT "text {i}"\n' for i in range(texts))
        text += f'_mta-sts.{domain} IN TXT "v=STSv1; id=1;"\n'
    return text + "round IN MX 10 r1\nr1 IN CNAME r2\nr2 IN CNAME r1\n"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with networks(tmp_path_factory.mktemp("net")) as world:
        world.certificates = make_certificates(tmp_path_factory.mktemp("tls"))
        world.change_zone(zone())
        subprocess.run(["ip", "-n", world.server, "addr", "add", f"{DEAD}/24", "dev", "eth0"], check=True)
        subprocess.run(["ip", "-n", world.server, "addr", "add", "10.9.9.9/24", "dev", "eth0"], check=True)
        subprocess.run(["ip", "-n", world.client, "route", "add", "10.9.9.0/24", "via", SERVER], check=True)
        world.nft(f"add rule inet mail input ip daddr {DEAD} tcp dport 25 reject with tcp reset")
        sink(world, world.server, "0.0.0.0", 25)
        yield world


def sink(net, where, address, port):
    program = postfix_folder() / "usr/sbin/smtp-sink"
    net.start(where, program, "-u", "root", f"{address}:{port}", "1000", env=postfix_environment())
    net.wait_port(port, where=where, address="127.0.0.1" if address == "0.0.0.0" else address)


@pytest.fixture(scope="module")
def server(net, tmp_path_factory):
    """Mailboat on the client, which listens on every address of that machine."""
    made = net.mailboat(tmp_path_factory.mktemp("relay"), net.certificates,
                        extra="queue: {retry: {first: 2s, max: 2s}}\n")
    made.domains, made.wrapper = ("here.test",), ["ip", "netns", "exec", net.client]
    with started(made):
        yield made


@contextlib.contextmanager
def started(server):
    try:
        yield server.start()
    finally:
        server.stop()


def submit(net, server, *to, where=None):
    net.run(PROGRAM, "send", "--config", server.config, "--from", "ada@here.test", "--body", "hello",
            *(w for t in to for w in ("--to", t)), where=where, check=True)


def goes_to(net, server, domain, host, address=SERVER, timeout=30):
    submit(net, server, f"x@{domain}.example.test")
    server.wait_log("delivered", f"to=x@{domain}.example.test", f"peer={host}[{address}]:25", timeout=timeout)


# ---- names ----

@pytest.mark.parametrize("domain, host", [
    ("cloud", "_dc-mx.0123abcd.cloud.example.test"), ("my_domain", "_dc-mx.0123abcd.cloud.example.test"),
    ("alias", "my_alias.example.test"), ("implicit_name", "implicit_name.example.test"), ("number", SERVER)])
def test_a_name_with_an_underscore_is_a_name(net, server, domain, host):
    goes_to(net, server, domain, host)


# ---- mail that would loop ----

def test_this_machine_is_not_called(net, server):
    """No connection is made, and the bounce is not caused by a reply of this server itself."""
    domains = [*SELF, "best", "named", "zeroes"]
    literals = ("127.0.0.1", "IPv6:::1", CLIENT)
    submit(net, server, *(f"x@{d}.example.test" for d in domains), *(f"x@[{l}]" for l in literals))
    for domain in domains:
        line = server.wait_log("bounced", f"to=x@{domain}.example.test", timeout=30)[0]
        assert "5.4.6" in line and "mail loops back to this server" in line and "peer=" not in line, line
    for literal in literals:
        assert "5.4.6" in server.wait_log("bounced", f"to=x@[{literal}]")[0]
    assert not server.lines("connected", f"peer=[{CLIENT}]") and not server.lines("rejected")


def test_no_server_is_sought_where_none_can_be(net, server):
    submit(net, server, *(f"x@{d}.example.test" for d in NOBODY))
    for domain in NOBODY:
        line = server.wait_log("bounced", f"to=x@{domain}.example.test", timeout=30)[0]
        assert "5.4.4" in line and "not valid for a server" in line, line


@pytest.mark.parametrize("domain", ["sts", "texts"])
def test_no_policy_is_fetched_from_this_machine(net, server, domain):
    """The domain's record is found among a thousand others."""
    goes_to(net, server, domain, "mail.example.test")
    server.wait_log("sts_fetch_failed", f"domain={domain}.example.test", "the policy host has no usable address")


def test_the_next_address_and_the_next_host_are_called(net, server):
    goes_to(net, server, "mixed", "mail.example.test")
    goes_to(net, server, "half", "half.example.test")
    goes_to(net, server, "inside", "inside.example.test", "10.9.9.9")  # private, and not this machine's


def test_where_we_are_a_backup_only_better_servers_are_called(net, server):
    submit(net, server, "x@backup.example.test")
    peer = f"peer=h.backup.example.test[{DEAD}]:25"
    assert "refused" in server.wait_log("deferred", "to=x@backup.example.test", peer, timeout=30)[0].lower()
    server.wait_log("deferred", "to=x@backup.example.test", count=2, timeout=30)
    assert not server.lines("delivered", "to=x@backup.example.test")


def test_an_address_that_comes_is_ours_from_then_on(net, server):
    """Once the address is removed, it is remote again."""
    def bounces():
        submit(net, server, "x@comes.example.test")
        return server.lines("bounced", "to=x@comes.example.test", "mail loops back to this server")
    subprocess.run(["ip", "-n", net.client, "addr", "add", "192.0.2.77/24", "dev", "eth0"], check=True)
    try:
        until(bounces)
        assert bounces()
    finally:
        subprocess.run(["ip", "-n", net.client, "addr", "del", "192.0.2.77/24", "dev", "eth0"], check=True)

    def waits():
        submit(net, server, "y@comes.example.test")
        return server.lines("deferred", "to=y@comes.example.test", "[192.0.2.77]:25")
    until(waits)
    assert waits()


def test_what_the_configuration_says_is_called(net, tmp_path):
    """A route to loopback; and an address of this machine where this server does not listen is another server's."""
    routes = (("l127", "host: 127.0.0.1, port: 25"), ("l0", "host: localhost"),
              ("b", "host: _dc-mx.0123abcd.cloud.example.test"))
    made = Mailboat(tmp_path / "relay", net.certificates, domains=("here.test",),
                    wrapper=["ip", "netns", "exec", net.server], relay="relay:\n  routes:\n" +
                    "".join(f"    - {{domain: {name}.example.test, {where}}}\n" for name, where in routes))
    expected = {"l127": "127.0.0.1[127.0.0.1]", "l0": "localhost[127.0.0.1]", "a": f"mx.a.example.test[{SERVER}]",
                "b": f"_dc-mx.0123abcd.cloud.example.test[{SERVER}]"}
    with started(made) as server:
        submit(net, server, *(f"x@{d}.example.test" for d in (*expected, "l127b")), where=net.server)
        for domain, peer in expected.items():
            server.wait_log("delivered", f"to=x@{domain}.example.test", f"peer={peer}:25", timeout=30)
        server.wait_log("bounced", "to=x@l127b.example.test", "5.4.6", timeout=30)


# ---- large numbers ----

def test_all_of_fifty_servers_are_tried(net, server):
    goes_to(net, server, "h17", "h16.h17.example.test")
    goes_to(net, server, "h50", "h49.h50.example.test")
    goes_to(net, server, "first", "h0.first.example.test")
    goes_to(net, server, "fiftieth", "h49.fiftieth.example.test")


def test_one_of_too_many_is_not_reached_and_nothing_stalls(net, server):
    started_at = time.monotonic()
    submit(net, server, "x@h51.example.test", "x@thousandth.example.test")
    for domain in ("h51", "thousandth"):
        server.wait_log("deferred", f"to=x@{domain}.example.test", f"[{DEAD}]:25", timeout=30)
    goes_to(net, server, "a", "mx.a.example.test")
    assert time.monotonic() - started_at < 30
    assert not server.lines("bounced", "to=x@h51.") and not server.lines("bounced", "to=x@thousandth.")


def test_of_a_thousand_equals_later_attempts_reach_others(net, server):
    """Twenty of a thousand work, the others are not even in DNS; each attempt looks up fifty of them, and none
    bounces the message."""
    submit(net, server, "x@equals.example.test")
    server.wait_log("delivered", "to=x@equals.example.test", timeout=120)
    assert not server.lines("bounced", "to=x@equals.example.test")


@pytest.mark.parametrize("count", [17, 50])
def test_all_of_fifty_addresses_are_tried(net, server, count):
    goes_to(net, server, f"a{count}", f"mx.a{count}.example.test")


def test_aliases_lead_on_for_so_many_steps_and_not_round(net, server):
    goes_to(net, server, "chain11", "c0.chain11.example.test")
    submit(net, server, "x@chain12.example.test", "x@round.example.test")
    for domain in ("chain12", "round"):
        server.wait_log("deferred", f"to=x@{domain}.example.test", "4.4.3", timeout=60)
