# SPDX-License-Identifier: Apache-2.0
"""Forwarded mail is sealed (ARC) in the form in which the next server gets it, and verified here by verifiers of
other projects, dkimpy and Mail::DKIM, and by `mailboat trust check`; and, with three hosts, accepted by a server
that trusts the forwarder."""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from arc_signer import with_first_set
from mailboat import Mailboat, smtp, until
from name_server import NameServer
from networks import networks
from plain_peer import Peer
from signing_keys import Keys, reload
from test_signing import BINARY, FORMS, MODERN, PERL, relaxed_digest, submit

dkim = pytest.importorskip("dkim")
ANNE, PASSWORD = "anne@bank.test", "secret-of-ada"
RECORDS = """
_dmarc TXT "v=DMARC1; p=none; psd=y"
bank TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.bank TXT "v=DMARC1; p=reject"
"""
BANK = {"bank.test": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]}, "_dmarc.bank.test": {"TXT": ["v=DMARC1; p=reject"]}}
PERL_ARC = PERL.replace("Mail::DKIM::Verifier", "Mail::DKIM::ARC::Verifier")


class Forwarder(Mailboat):
    host = "mx.fwd.test"

    def write_config(self):
        super().write_config()
        self.config.write_text(self.config.read_text().replace("hostname: mx.example.org", f"hostname: {self.host}"))


def txt(name, text):
    """Returns the line of a zone file."""
    return f"{name} TXT " + " ".join(f'"{text[at:at + 255]}"' for at in range(0, len(text), 255))


def slug(name):
    return name.replace(" ", "-")


@pytest.fixture(scope="module")
def forwarder(tmp_path_factory, certificates):
    """A server with a key for the domain above its name, which judges what comes in. Each form has a peer, and
    team-FORM@fwd.test leads to it; `other` is one more."""
    folder = tmp_path_factory.mktemp("sealing")
    names = NameServer(folder, RECORDS)
    peers = {slug(name): Peer() for name in [*FORMS, "other"]}
    routes = "".join(f"    - {{domain: {name}.there.net, host: localhost, port: {peer.port}}}\n" for name, peer in peers.items())
    server = Forwarder(folder / "server", certificates, domains=("fwd.test",), relay=f"relay:\n  routes:\n{routes}",
                       extra=names.resolver + "queue: {retry: {first: 1h, max: 1h}}\n", trust="")
    server.names, server.peers = names, peers
    try:
        server.start()
        server.add_user("ada@fwd.test", PASSWORD)
        server.keys = Keys(server).add("fwd.test")
        reload(server)
        for name, (_, _, knows) in FORMS.items():
            peers[slug(name)].knows = list(knows)
            server.cli("alias", "add", f"team-{slug(name)}@fwd.test", f"bob@{slug(name)}.there.net")
        peers["other"].knows = list(MODERN)
        yield server
    finally:
        server.stop()
        names.stop()
        for peer in peers.values():
            peer.close()


@pytest.fixture
def other(forwarder):
    """The peer without mail and with its usual replies."""
    peer = forwarder.peers["other"]
    peer.letters.clear()
    peer.says = "250 ok"
    return peer


def give(server, to, content, parameters=(), sender=ANNE):
    submit(server, content, [to], parameters, sender=sender, port=25, user=None)


def letter(subject, more="", author=ANNE):
    return f"{more}From: {author}\r\nTo: team@fwd.test\r\nSubject: {subject}\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@bank.test>\r\n\r\nhello\r\n".encode()


def received(peer, count=1):
    until(lambda: len(peer.letters) >= count)
    assert len(peer.letters) == count
    return peer.letters[-1][1]


def field(content, name):
    """Returns the first field of that name, unfolded and without white space."""
    return re.sub(r"\s+", "", re.search(rf"(?m)^{name}:((?:[^\r]|\r\n[ \t])*)\r$".encode(), content).group(1).decode())


def tags(content, name):
    return dict(tag.split("=", 1) for tag in field(content, name).split(";") if tag)


def is_sealed(content, instance=1, chain="none"):
    names = re.findall(rb"(?m)^([A-Za-z-]+):", content.split(b"\r\n\r\n")[0])[:3]
    assert names == [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"], content[:2000]
    seal, signature = tags(content, "ARC-Seal"), tags(content, "ARC-Message-Signature")
    assert (seal["i"], seal["cv"], seal["d"], seal["s"], seal["a"]) == (str(instance), chain, "fwd.test", "one", "rsa-sha256")
    covered = signature["h"].split(":")
    assert signature["i"] == str(instance) and signature["d"] == "fwd.test" and "l" not in signature
    assert covered.count("from") == 2 and not {"authentication-results", "arc-seal", "received", "delivered-to"} & set(covered)
    assert field(content, "ARC-Authentication-Results").startswith(f"i={instance};mx.fwd.test;dmarc=")
    assert field(content, "ARC-Authentication-Results").partition(";")[2] == field(content, "Authentication-Results")
    return covered


# ---- verifiers ----

def check(server, content, zone, trusted=()):
    (server.folder / "message.eml").write_bytes(content)
    (server.folder / "zone.json").write_text(json.dumps(zone))
    trusting = [part for domain in trusted for part in ("--arc-trusted", domain)]
    return json.loads(server.cli("trust", "check", server.folder / "message.eml", "--ip", "192.0.2.99", "--from", "x@fwd.test",
                                 "--zone", server.folder / "zone.json", "--json", *trusting, check=False).stdout)


def verify(server, content, result="pass", zone=()):
    """Three verifiers have the same result; the next server rejects the message unless it trusts the sealer."""
    zone = {**BANK, **server.keys.zone, **dict(zone)}
    said = check(server, content, zone)
    assert said["arc"]["result"] == result, said["arc"]
    found, _, why = dkim.arc_verify(content, dnsfunc=lambda name, timeout=5: zone.get(
        (name.decode() if isinstance(name, bytes) else name).rstrip("."), {}).get("TXT", [""])[0].encode())
    assert (found or b"fail").decode() == result, why  # dkimpy has no word for a chain that says so itself
    done = subprocess.run(["perl", "-MMail::DKIM::DNS", "-e", PERL_ARC, server.folder / "zone.json", server.folder / "message.eml"],
                          capture_output=True, text=True)
    if done.returncode == 0:
        assert done.stdout.startswith(result), (done.stdout, done.stderr)
    else:
        assert "locate Mail/DKIM" in done.stderr or "locate JSON" in done.stderr, done.stderr
    return said


# ---- what is sealed ----

def test_the_seal_is_of_what_each_server_gets(forwarder):
    """Converted for servers without extensions, with line ends fixed and lines shortened: it verifies as
    received, and what needs no conversion is as it came."""
    for name, (content, parameters, _) in FORMS.items():
        give(forwarder, f"team-{slug(name)}@fwd.test", content.replace(b"ada@example.org", ANNE.encode()), parameters)
    for name, (content, _, _) in FORMS.items():
        original = content.replace(b"ada@example.org", ANNE.encode())
        got = received(forwarder.peers[slug(name)])
        is_sealed(got)
        try:
            if name == "binary":  # the verifiers' files have fixed line ends: a different body
                assert tags(got, "ARC-Message-Signature")["bh"] == relaxed_digest(BINARY.split(b"\r\n\r\n", 1)[1])
            else:
                said = verify(forwarder, got)
                assert said["dmarc"]["result"] == "fail" and said["verdict"]["disposition"] == "reject"
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error
        if name in ("plain", "eight", "large", "binary"):
            assert got.endswith(original), name
        if "seven" in name:
            assert got.isascii(), name
    zone = {**BANK, **forwarder.keys.zone}
    trusted = check(forwarder, received(forwarder.peers["plain"]), zone, ["fwd.test"])
    assert trusted["arc"]["believed"] == 1 and (trusted["verdict"]["disposition"], trusted["verdict"]["override"]) == ("junk", "trusted_forwarder")


def test_chains_are_continued_as_they_were_judged(forwarder, other, tmp_path):
    """A mailing list has sealed the message; then it is forwarded twice by this server; then something in it is
    altered on the way."""
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", tmp_path / "key", "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", tmp_path / "key", "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    ours = forwarder.keys.zone["one._domainkey.fwd.test"]["TXT"][0]
    forwarder.names.stop()
    forwarder.names.write(RECORDS + txt("s._domainkey.list", record) + "\n" + txt("one._domainkey.fwd", ours) + "\n")
    forwarder.names.start()
    zone = {"s._domainkey.list.test": {"TXT": [record]}}
    forwarder.cli("alias", "add", "chain@fwd.test", "bob@other.there.net")

    first = letter("chain", "Authentication-Results: lists.test; dmarc=pass header.from=bank.test\r\n")
    give(forwarder, "chain@fwd.test", with_first_set(tmp_path, first, "list.test", "lists.test", tmp_path / "key"))
    second = received(other)
    is_sealed(second, 2, "pass")
    verify(forwarder, second, zone=zone)
    give(forwarder, "chain@fwd.test", second.replace(b"Delivered-To: chain@fwd.test\r\n", b""))  # no loop
    third = received(other, 2)
    is_sealed(third, 3, "pass")
    said = verify(forwarder, third, zone=zone)
    assert said["arc"]["sealers"] == ["list.test", "fwd.test", "fwd.test"]
    forwarder.wait_log("arc_sealed", "domain=fwd.test", "instance=3", "chain=pass")

    give(forwarder, "chain@fwd.test", second.replace(b"Delivered-To: chain@fwd.test\r\n", b"").replace(b"\r\n\r\nhello", b"\r\n\r\nbuy it"))
    broken = received(other, 3)
    is_sealed(broken, 3, "fail")
    verify(forwarder, broken, "fail", zone)
    since = len(forwarder.log)
    give(forwarder, "chain@fwd.test", broken.replace(b"Delivered-To: chain@fwd.test\r\n", b""))
    assert b"i=4" not in received(other, 4)  # RFC 8617 5.1: nothing is added after cv=fail
    forwarder.wait_log("not_sealed", "newest ARC seal", since=since)
    forwarder.names.stop()
    forwarder.names.write(RECORDS)
    forwarder.names.start()


def test_who_is_sealed_and_who_is_not(forwarder, other):
    """One set for all copies of one form; no set for users of this server, nor where nothing was judged."""
    forwarder.cli("alias", "add", "inner@fwd.test", "d@other.there.net")
    forwarder.cli("alias", "add", "all@fwd.test", "a@other.there.net", "b@other.there.net", "inner@fwd.test", "c@plain.there.net")
    before, since = len(forwarder.peers["plain"].letters), len(forwarder.log)
    give(forwarder, "all@fwd.test", letter("all", "DKIM-Signature: v=1; a=rsa-sha256; d=bank.test; s=x; h=from; bh=AAAA; b=AAAA\r\n"))
    until(lambda: len(other.letters) >= 2 and len(forwarder.peers["plain"].letters) > before)
    got = [content for _, content in [*other.letters, forwarder.peers["plain"].letters[-1]]]
    for content in got:
        assert "dkim-signature" in is_sealed(content)
        verify(forwarder, content)
    assert len({content.split(b"Delivered-To:")[0] for content in got}) == 1
    assert len(forwarder.lines("arc_sealed", "instance=1", since=since)) == 1

    # a user's forwarding, and a message without a sender
    other.letters.clear()
    forwarder.cli("user", "forward", "ada@fwd.test", "e@other.there.net")
    give(forwarder, "ada@fwd.test", letter("of-a-user"))
    is_sealed(received(other))
    assert b"Subject: of-a-user" in forwarder.arrivals("ada@fwd.test", "of-a-user")[0]
    assert b"ARC-" not in forwarder.arrivals("ada@fwd.test", "of-a-user")[0]
    give(forwarder, "ada@fwd.test", letter("report", author="mailer-daemon@quiet.test"), sender="")
    is_sealed(received(other, 2))

    # users of this server are signed; large headers go as they are
    other.letters.clear()
    with smtp(forwarder, 587, user="ada@fwd.test", password=PASSWORD) as client:
        client.sendmail("ada@fwd.test", ["inner@fwd.test"], letter("own", author="ada@fwd.test"))
    assert received(other).startswith(b"DKIM-Signature:") and b"ARC-" not in received(other)


def test_kill_9_of_sign_while_it_seals_loses_nothing(forwarder, other):
    """Under load, as for signatures (test_signing): each message arrives, sealed."""
    forwarder.cli("alias", "add", "many@fwd.test", "g@other.there.net")
    senders, each, stop = 6, 15, threading.Event()

    def killer():
        while not stop.wait(0.3):
            for pid in forwarder.processes().get("sign", []):
                os.kill(pid, signal.SIGKILL)

    def subjects():
        return {re.search(rb"(?m)^Subject: ([^\r]+)", content).group(1).decode() for _, content in list(other.letters)}

    killing = threading.Thread(target=killer)
    killing.start()
    try:
        sending = [threading.Thread(target=lambda n=n: [give(forwarder, "many@fwd.test", letter(f"load-{n}-{i}")) for i in range(each)]) for n in range(senders)]
        for one in sending:
            one.start()
        for one in sending:
            one.join()
    finally:
        stop.set()
        killing.join()
    expected = {f"load-{n}-{i}" for n in range(senders) for i in range(each)}
    forwarder.wait_log("process_died", "sign")
    until(lambda: not forwarder.cli("queue", "retry", "--all", check=False).returncode and expected <= subjects(), pause=0.5)
    assert subjects() == expected and len(other.letters) == len(expected)
    for _, content in other.letters:
        is_sealed(content)
    for _, content in other.letters[::20]:
        verify(forwarder, content)


def test_a_key_that_cannot_be_used_defers_and_none_does_not(forwarder, other):
    """As for signatures; explain says beforehand what will become of the message."""
    forwarder.cli("alias", "add", "keys@fwd.test", "f@other.there.net")

    def explain(subject):
        since = len(forwarder.log)
        give(forwarder, "keys@fwd.test", letter(subject))
        line = forwarder.wait_log("deferred", "to=f@other.there.net", since=since)[0]
        id = re.search(r" id=(\w+)", line).group(1)
        text = " ".join(forwarder.cli("explain", id).stdout.split())
        sentence = json.loads(forwarder.cli("explain", id, "--json").stdout)["recipients"][0]["seal"]
        assert (sentence == "" and "sealed" not in text) or sentence in text
        return line, sentence, id

    other.says = "450 4.2.0 later"
    _, sentence, id = explain("later")
    assert sentence == "will be sealed (ARC) when it leaves"
    other.says = "250 ok"
    forwarder.cli("queue", "retry", id)
    is_sealed(received(other))
    forwarder.keys.add("fwd.test", pem="not a key\n")
    reload(forwarder)
    line, _, id = explain("waits")
    assert "4.7.5" in line and "DKIM key" in line and len(other.letters) == 1
    forwarder.keys.add("fwd.test")
    reload(forwarder)
    forwarder.cli("queue", "retry", id)
    content = received(other, 2)
    is_sealed(content)
    verify(forwarder, content)

    shutil.rmtree(forwarder.data / "keys" / "fwd.test")
    reload(forwarder)
    other.says = "450 4.2.0 later"
    _, sentence, id = explain("plain")
    assert sentence == "will not be sealed (ARC): no DKIM key signs for mx.fwd.test or a domain above it"
    other.says = "250 ok"
    forwarder.cli("queue", "retry", id)
    assert b"ARC-" not in received(other, 3)

    # the key of the host itself is taken before that of the domain above
    forwarder.keys.add("fwd.test").add("mx.fwd.test", "host")
    reload(forwarder)
    give(forwarder, "keys@fwd.test", letter("host"))
    assert tags(received(other, 4), "ARC-Seal")["d"] == "mx.fwd.test"
    shutil.rmtree(forwarder.data / "keys" / "mx.fwd.test")

    for extra, trust, expected in (("forward: {seal: false}\n", "", ""),
                                   ("", "trust: {mode: off}\n", "will not be sealed (ARC): it was not checked when it came")):
        kept = forwarder.extra, forwarder.trust
        forwarder.stop()
        forwarder.extra, forwarder.trust = forwarder.extra + extra, trust
        forwarder.start()
        other.letters.clear()
        other.says = "450 4.2.0 later"
        _, sentence, id = explain("off")
        assert sentence == expected
        other.says = "250 ok"
        forwarder.cli("queue", "retry", id)
        assert b"ARC-" not in received(other)
        forwarder.extra, forwarder.trust = kept


# ---- three hosts ----

HOSTS = """$ORIGIN example.test.
$TTL 60
@ IN SOA ns.example.test. root.example.test. 1 60 60 60 60
@ IN NS ns
ns IN A 192.0.2.2
_dmarc IN TXT "v=DMARC1; p=none; psd=y"
bank IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.bank IN TXT "v=DMARC1; p=reject"
fwd IN MX 10 mx.fwd
fwd IN TXT "v=spf1 mx ip4:198.51.100.1 -all"
mx.fwd IN A 192.0.2.2
third IN MX 10 mx.third
mx.third IN A 198.51.100.2
"""


def server_on(net, where, folder, certificates, domain):
    server = Forwarder(folder, certificates, address="0.0.0.0", domains=(domain,), wrapper=["ip", "netns", "exec", where], trust="",
                       extra='resolver: {servers: ["192.0.2.2"], dnssec: off}\n')
    server.ports = {port: port for port in server.ports}
    server.host = f"mx.{domain}"
    return server


def test_a_server_that_trusts_the_forwarder_accepts_what_it_seals(tmp_path, certificates):
    """The sender's domain has p=reject and no signature, so that only the seal says where the message is from."""
    def bank_sends(subject):
        text = letter(subject, author="anne@bank.example.test").decode()
        net.run(sys.executable, "-c", textwrap.dedent(f"""
            import smtplib
            with smtplib.SMTP("192.0.2.2", 25, timeout=60) as client:
                client.sendmail("anne@bank.example.test", ["ada@fwd.example.test"], {text!r})
            """), where=net.client, check=True)

    with networks(tmp_path / "nets") as net:
        third = server_on(net, net.add_host(), tmp_path / "third", certificates, "third.example.test")
        forwarder = server_on(net, net.server, tmp_path / "forwarder", certificates, "fwd.example.test")
        net.change_zone(HOSTS)
        try:
            third.start()
            third.add_user("carl@third.example.test", PASSWORD)
            forwarder.start()
            forwarder.add_user("ada@fwd.example.test", PASSWORD)
            forwarder.cli("user", "forward", "ada@fwd.example.test", "carl@third.example.test")
            keys = Keys(forwarder).add("fwd.example.test")
            reload(forwarder)
            net.change_zone(HOSTS + txt("one._domainkey.fwd", keys.text("one._domainkey.fwd.example.test")) + "\n")

            bank_sends("untrusted")
            forwarder.wait_log("accepted", "trust=deliver")
            forwarder.wait_log("arc_sealed", "domain=fwd.example.test", "instance=1", "chain=none")
            forwarder.wait_log("bounced", "5.7.26", "bank.example.test")
            third.stop()
            third.trust = "trust: {arc_trusted: [fwd.example.test]}\n"
            third.start()
            bank_sends("trusted")
            third.wait_log("accepted", "trust=junk", "author=bank.example.test", "set 1 is believed")
            forwarder.wait_log("delivered", "to=carl@third.example.test", "sent_as=")
            junk = third.maildir("carl@third.example.test") / ".Junk" / "new"
            until(lambda: junk.is_dir() and list(junk.iterdir()))
            content, = (file.read_bytes() for file in junk.iterdir())
            results = field(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "Authentication-Results")
            assert results.startswith("mx.third.example.test;") and "arc=pass" in results and "dmarc=fail" in results
            assert b"From: anne@bank.example.test" in content and content.rstrip().endswith(b"hello")
        finally:
            forwarder.stop()
            third.stop()
