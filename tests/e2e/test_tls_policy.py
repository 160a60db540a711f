# SPDX-License-Identifier: Apache-2.0
"""Securing outgoing mail: DANE in a signed zone, MTA-STS with policies over HTTPS, REQUIRETLS, and the
configuration. Two hosts in network namespaces, with a peer for each problem. Mail that must not be sent
without TLS waits, and its state says why."""
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailboat import PROGRAM, Mailboat, make_certificate, make_certificates, until
from networks import SERVER, networks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
HERE = Path(__file__).parent
NSD_PORT, STRIPPED_PORT = 5353, 5354

# Peer -> its address, its certificate, and what it offers.
PEERS = {
    "good": ("192.0.2.11", "good"),
    "expired": ("192.0.2.12", "expired"),
    "other": ("192.0.2.13", "other"),
    "stripped": ("192.0.2.14", None),
    "requiretls": ("192.0.2.15", "good"),
}
# Domain -> its peer, its TLSA records (digest is filled in).
SIGNED = {
    "ee": ("good", ["3 1 1 {key}"]),
    "ta": ("good", ["2 0 1 {ca}"]),
    "ta-other": ("other", ["2 0 1 {ca}"]),
    "wrong": ("good", ["3 1 1 " + "ab" * 32]),
    "wrong-ta": ("good", ["2 0 1 " + "ab" * 32]),
    "old": ("expired", ["3 1 1 {expired_key}"]),
    "pkix": ("other", ["1 1 1 " + "ab" * 32]),
    "pkix-stripped": ("stripped", ["1 1 1 " + "ab" * 32]),
    "stripped": ("stripped", ["3 1 1 {key}"]),
    "nothing": ("stripped", []),
    "req": ("requiretls", ["3 1 1 {key}"]),
    "broken": ("good", ["3 1 1 {key}"]),
}
# Domain -> its peer, its MTA-STS policy.
PLAIN = {
    "enforce": ("good", "mode: enforce\nmx: *.plain.test\nmax_age: 86400\n"),
    "expired": ("expired", "mode: enforce\nmx: mx-expired.plain.test\nmax_age: 86400\n"),
    "other": ("other", "mode: enforce\nmx: mx-other.plain.test\nmax_age: 86400\n"),
    "stripped": ("stripped", "mode: enforce\nmx: mx-stripped.plain.test\nmax_age: 86400\n"),
    "unlisted": ("good", "mode: enforce\nmx: mx.elsewhere.test\nmax_age: 86400\n"),
    "testing": ("stripped", "mode: testing\nmx: mx-testing.plain.test\nmax_age: 86400\n"),
    "moved": ("stripped", None),
    "garbage": ("stripped", "<html>this is no policy</html>\n"),
    "html": ("stripped", "mode: enforce\nmx: *.plain.test\nmax_age: 86400\n"),
    "huge": ("stripped", "mode: enforce\nmx: *.plain.test\nmax_age: 86400\n" + "\n" * 65536),
    "untrusted": ("stripped", "mode: enforce\nmx: *.plain.test\nmax_age: 86400\n"),
    "unpublished": ("stripped", None),
    "needs-tls": ("good", None),
}
# Domain -> where it wants reports on TLS.
REPORTED = {
    "enforce": "bob@example.org,https://reports.plain.test/",
    "expired": "bob@example.org",
    "unlisted": "bob@example.org",
    "testing": "bob@example.org",
    "untrusted": "bob@example.org",
    "needs-tls": "bob@example.org",
    "stripped": "tls@stripped.plain.test",
    "garbage": "https://reports.plain.test/",
}


def digests(certificates):
    def of(*command):
        return hashlib.sha256(subprocess.run(["openssl", *command], check=True, capture_output=True).stdout).hexdigest()

    def key(stem):
        public = subprocess.run(["openssl", "x509", "-in", certificates / f"{stem}.pem", "-noout", "-pubkey"], check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True).stdout
        return hashlib.sha256(der).hexdigest()
    return {"key": key("good"), "expired_key": key("expired"), "ca": of("x509", "-in", certificates / "ca.pem", "-outform", "DER")}


def zones(found):
    head = "$TTL 60\n@ IN SOA ns admin 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.2\n"
    signed = "$ORIGIN signed.test.\n" + head
    for name, (peer, records) in SIGNED.items():
        signed += f"{name} IN MX 10 mx-{name}\nmx-{name} IN A {PEERS[peer][0]}\n"
        signed += "".join(f"_25._tcp.mx-{name} IN TLSA {record.format(**found)}\n" for record in records)
    signed += "alias IN MX 10 mx-alias\nmx-alias IN CNAME mx-ta\n"
    for name, record in (("left", "3 1 1 {key}"), ("left-wrong", "3 1 1 " + "ab" * 32)):  # signed aliases into an unsigned zone
        signed += f"{name} IN MX 10 mx-{name}\nmx-{name} IN CNAME mx-needs-tls.plain.test.\n_25._tcp.mx-{name} IN TLSA {record.format(**found)}\n"
    signed += "left-none IN MX 10 mx-left-none\nmx-left-none IN CNAME mx-needs-tls.plain.test.\n"
    plain = "$ORIGIN plain.test.\n" + head
    for name, (peer, policy) in PLAIN.items():
        plain += f"{name} IN MX 10 mx-{name}\nmx-{name} IN A {PEERS[peer][0]}\n"
        if policy or name == "moved":
            plain += f'_mta-sts.{name} IN TXT "v=STSv1; id=1{name.replace("-", "")};"\nmta-sts.{name} IN A {SERVER}\n'
    for name, address in REPORTED.items():
        plain += f'_smtp._tls.{name} IN TXT "v=TLSRPTv1; rua=mailto:{address}"\n'
    plain += "_25._tcp.mx-needs-tls IN TLSA 3 1 1 " + "ab" * 32 + "\n"  # without DNSSEC: has no effect
    return signed, plain


def serve_zones(net, found):
    """Starts nsd with a signed and an unsigned zone; returns the file of its trust anchor."""
    folder = net.folder / "zones"
    folder.mkdir()
    signed, plain = zones(found)
    (folder / "signed.test").write_text(signed)
    (folder / "plain.test").write_text(plain)
    key = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "signed.test"], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["ldns-signzone", "-n", "signed.test", key], cwd=folder, check=True, capture_output=True)
    text = (folder / "signed.test.signed").read_text()
    # One invalid signature: over the TLSA records of the domain "broken".
    text = re.sub(r"(_25\._tcp\.mx-broken\.signed\.test\.\s+\d+\s+IN\s+TLSA\s+3 1 1 )(\w\w)",
                  lambda found: found.group(1) + ("ff" if found.group(2) == "00" else "00"), text)
    (folder / "signed.test.signed").write_text(text)
    start_nsd(net, folder, NSD_PORT, ("signed.test", "signed.test.signed"), ("plain.test", "plain.test"))
    # The same names without signatures, as from a resolver that strips DNSSEC.
    (folder / "elsewhere").write_text(plain.replace("plain.test.", "elsewhere.example."))
    start_nsd(net, folder, STRIPPED_PORT, ("signed.test", "signed.test"), ("elsewhere.example", "elsewhere"))
    return folder / f"{key}.key"


def start_nsd(net, folder, port, *served):
    zones = "".join(f"zone:\n  name: {name}\n  zonefile: {file}\n" for name, file in served)
    config = folder / f"nsd{port}.conf"
    config.write_text(f"""server:
  ip-address: {SERVER}@{port}
  zonesdir: "{folder}"
  database: ""
  username: ""
  chroot: ""
  pidfile: "{folder}/nsd{port}.pid"
  xfrdfile: "{folder}/xfrd{port}"
  zonelistfile: "{folder}/list{port}"
  server-count: 1
remote-control:
  control-enable: no
{zones}""")
    net.start(net.server, "nsd", "-d", "-c", config, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    net.wait_port(port)


def start_ready(net, *command):
    process = net.start(net.server, sys.executable, *command, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = make_certificates(tmp_path_factory.mktemp("tls"))
    names = [f"mx-{n}.signed.test" for n in SIGNED] + [f"mx-{n}.plain.test" for n in PLAIN]
    make_certificate(folder, folder, "good", *names)
    make_certificate(folder, folder, "expired", *names, expired=True)
    make_certificate(folder, folder, "other", "mx.elsewhere.test")
    for stem in ("good", "expired", "other"):  # DANE-TA: the authority is in the chain (RFC 7672 3.1.2)
        (folder / f"{stem}-chain.pem").write_text((folder / f"{stem}.pem").read_text() + (folder / "ca.pem").read_text())
    make_certificate(folder, folder, "web", *[f"mta-sts.{n}.plain.test" for n in PLAIN if n != "untrusted"])
    return folder


@pytest.fixture(scope="module")
def net(tmp_path_factory, certificates):
    with networks(tmp_path_factory.mktemp("net")) as net:
        net.anchor = serve_zones(net, digests(certificates))
        net.web = net.folder / "web"
        net.web.mkdir()
        for name, (_, policy) in PLAIN.items():
            if policy:
                (net.web / f"mta-sts.{name}.plain.test").write_text("version: STSv1\n" + policy)
        start_ready(net, HERE / "sts_web.py", SERVER, certificates / "web.pem", certificates / "web.key", net.web)
        for name, (address, stem) in PEERS.items():
            subprocess.run(["ip", "-n", net.server, "addr", "add", f"{address}/24", "dev", "eth0"], check=True)
            cert = ["--cert", certificates / f"{stem}-chain.pem", certificates / f"{stem}.key"] if stem else []
            more = ["--requiretls"] if name == "requiretls" else []
            start_ready(net, HERE / "tls_peer.py", address, net.folder / f"{name}.log", *cert, *more)
        yield net


@pytest.fixture
def relay(net, tmp_path, certificates):
    """Starts a Mailboat on the client that relays to the server's peers."""
    running = []

    def start(tls="", dnssec="", anchor=True, port=NSD_PORT, extra=""):
        resolver = f"resolver: {{servers: ['{SERVER}:{port}']{dnssec}" + (f", trust_anchor: {net.anchor}" if anchor else "") + "}\n"
        server = Mailboat(tmp_path / "server", certificates, wrapper=["ip", "netns", "exec", net.client],
                          relay=f"relay: {{ca_file: {certificates}/ca.pem{tls}}}\n", extra=resolver + extra)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


def send(server, to):
    server.cli("send", "--from", "ada@example.org", "--to", to, "--subject", "policy", "--body", "hello")


def taken(net, peer):
    log = net.folder / f"{peer}.log"
    return log.read_text().splitlines() if log.exists() else []


def delivered(server, net, domain, peer, policy, how="tls"):
    before = len(taken(net, peer))
    send(server, f"bob@{domain}")
    line = server.wait_log("delivered", f"to=bob@{domain}")[0]
    assert f"tls_policy={policy} " in line, line
    assert taken(net, peer)[before].startswith(how + " ")
    return line


def waits(server, net, domain, peer, policy, *words):
    before = len(taken(net, peer))
    send(server, f"bob@{domain}")
    line = server.wait_log("deferred", f"to=bob@{domain}")[0]
    assert f"tls_policy={policy} " in line and all(word in line for word in words), line
    assert len(taken(net, peer)) == before
    return line


# ---- DANE ----

def test_dane(relay, net):
    server = relay()
    line = delivered(server, net, "ee.signed.test", "good", "dane")
    assert "certificate=valid" in line and "DNSSEC" in line
    delivered(server, net, "ta.signed.test", "good", "dane")
    before = len(taken(net, "good"))
    delivered(server, net, "alias.signed.test", "good", "dane")  # the records are at the alias's target (RFC 7672 2.2.2)
    assert " mx-ta.signed.test " in taken(net, "good")[before]
    delivered(server, net, "old.signed.test", "expired", "dane")  # DANE-EE ignores dates (RFC 7671 5.1)
    assert "tlsa-mismatch" not in line


def test_dane_that_does_not_fit_waits(relay, net):
    server = relay()
    line = waits(server, net, "wrong.signed.test", "good", "dane", "matches none of its TLSA records")
    waits(server, net, "wrong-ta.signed.test", "good", "dane", "certificate")
    waits(server, net, "ta-other.signed.test", "other", "dane", "another name")  # DANE-TA checks the name
    waits(server, net, "stripped.signed.test", "stripped", "dane", "STARTTLS")
    waits(server, net, "broken.signed.test", "good", "dane", "DNSSEC validation failed")
    queue_id = re.search(r" id=(\w+)", line).group(1)
    assert "matches none of its TLSA records" in server.cli("queue", "show", queue_id).stdout


def test_an_alias_that_leads_out_of_the_signed_zone(relay, net):
    """RFC 7672 2.2.2: the records below its own name count, those at its target do not."""
    server = relay()
    delivered(server, net, "left.signed.test", "good", "dane")
    waits(server, net, "left-wrong.signed.test", "good", "dane", "matches none of its TLSA records")
    delivered(server, net, "left-none.signed.test", "good", "may")


def test_unusable_records_mean_encrypted_and_unchecked(relay, net):
    server = relay()
    delivered(server, net, "pkix.signed.test", "other", "dane-unusable")
    waits(server, net, "pkix-stripped.signed.test", "stripped", "dane-unusable", "STARTTLS")


def test_where_nothing_is_published_it_goes_in_clear(relay, net):
    server = relay()
    delivered(server, net, "nothing.signed.test", "stripped", "may", how="clear")
    delivered(server, net, "unpublished.plain.test", "stripped", "may", how="clear")


def test_where_dnssec_is_stripped_all_resolves_and_nothing_is_dane(relay, net):
    server = relay(port=STRIPPED_PORT)
    delivered(server, net, "wrong.signed.test", "good", "may")
    server.stop()
    server = relay(port=STRIPPED_PORT, anchor=False)  # with the root zone's keys, which this resolver does not have
    delivered(server, net, "unpublished.elsewhere.example", "stripped", "may", how="clear")
    server.stop()
    server = relay(dnssec=", dnssec: off", anchor=False)
    delivered(server, net, "wrong.signed.test", "good", "may")


def test_dnssec_that_is_required(relay, net):
    server = relay(port=STRIPPED_PORT, dnssec=", dnssec: required")
    send(server, "bob@wrong.signed.test")
    assert "DNSSEC validation failed" in server.wait_log("deferred", "to=bob@wrong.signed.test")[0]


# ---- MTA-STS ----

def test_sts(relay, net):
    server = relay()
    line = delivered(server, net, "enforce.plain.test", "good", "sts")
    assert "certificate=valid" in line
    server.wait_log("sts_policy_fetched", "domain=enforce.plain.test", "mode=enforce")
    asked = (net.web / "asked").read_text().count("mta-sts.enforce.plain.test")
    assert asked == 1
    server.stop()
    # The policy is kept over a restart, and applies although the web server is gone.
    policy = net.web / "mta-sts.enforce.plain.test"
    text = policy.read_text()
    policy.unlink()
    try:
        server = relay()
        before = len(taken(net, "good"))
        send(server, "bob@enforce.plain.test")
        line = server.wait_log("delivered", "to=bob@enforce.plain.test")[0]
        assert "tls_policy=sts " in line and len(taken(net, "good")) == before + 1
        assert (net.web / "asked").read_text().count("mta-sts.enforce.plain.test") == asked
    finally:
        policy.write_text(text)


def test_sts_that_does_not_fit_waits(relay, net):
    server = relay()
    waits(server, net, "expired.plain.test", "expired", "sts", "expired")
    waits(server, net, "other.plain.test", "other", "sts", "another name")
    waits(server, net, "stripped.plain.test", "stripped", "sts", "STARTTLS")
    waits(server, net, "unlisted.plain.test", "good", "sts", "the policy does not list the host")


def test_sts_testing_and_policies_that_are_none(relay, net):
    server = relay()
    delivered(server, net, "testing.plain.test", "stripped", "sts-testing", how="clear")
    server.wait_log("sts_testing_failed", "domain=testing.plain.test", "no TLS")
    delivered(server, net, "moved.plain.test", "stripped", "may", how="clear")  # redirects are not followed
    server.wait_log("sts_fetch_failed", "domain=moved.plain.test", "302")
    delivered(server, net, "garbage.plain.test", "stripped", "may", how="clear")
    server.wait_log("sts_fetch_failed", "domain=garbage.plain.test", "not an MTA-STS policy")
    for name, why in (("html", "text/plain"), ("huge", "too large"), ("untrusted", "certificate")):
        delivered(server, net, f"{name}.plain.test", "stripped", "may", how="clear")
        line = server.wait_log("sts_fetch_failed", f"domain={name}.plain.test")[0]
        assert why in line, line


# ---- the configuration, REQUIRETLS, sessions ----

def test_the_configuration_decides(relay, net):
    server = relay(tls=", tls: {wrong.signed.test: encrypt, ee.signed.test: none, nothing.signed.test: dane, enforce.plain.test: may, "
                       "other.plain.test: verify, unpublished.plain.test: encrypt}")
    delivered(server, net, "wrong.signed.test", "good", "encrypt")
    delivered(server, net, "ee.signed.test", "good", "none", how="clear")
    delivered(server, net, "enforce.plain.test", "good", "may")
    waits(server, net, "nothing.signed.test", "stripped", "dane", "relay.tls requires DANE")
    waits(server, net, "other.plain.test", "other", "verify", "another name")
    waits(server, net, "unpublished.plain.test", "stripped", "encrypt", "STARTTLS")


def requiretls(net, server, certificates, to):
    """Submits a message with REQUIRETLS, from within the client's network."""
    code = (f"import smtplib, ssl; c = smtplib.SMTP('127.0.0.1', {server.ports[587]}); "
            f"c.starttls(context=ssl.create_default_context(cafile={str(certificates / 'ca.pem')!r})); c.login('ada@example.org', 'secret'); "
            f"assert c.has_extn('requiretls'); "
            f"c.sendmail('ada@example.org', [{to!r}], 'Subject: all the way\\r\\n\\r\\nhello\\r\\n', mail_options=['REQUIRETLS'])")
    net.run(sys.executable, "-c", code, check=True)


def test_requiretls(relay, net, certificates):
    server = relay()
    server.add_user("ada@example.org", "secret")
    before = len(taken(net, "requiretls"))
    requiretls(net, server, certificates, "bob@req.signed.test")
    line = server.wait_log("delivered", "to=bob@req.signed.test")[0]
    assert "tls_policy=dane " in line
    assert taken(net, "requiretls")[before].startswith("tls ") and "REQUIRETLS" in taken(net, "requiretls")[before]
    for domain, peer, why in (("ee.signed.test", "good", "REQUIRETLS"), ("nothing.signed.test", "stripped", "STARTTLS"),
                              ("needs-tls.plain.test", "good", "neither DNSSEC nor MTA-STS authenticates the server name")):
        before = len(taken(net, peer))
        requiretls(net, server, certificates, f"bob@{domain}")
        line = server.wait_log("bounced", f"to=bob@{domain}")[0]
        assert "status=5.7.30" in line and why in line, line
        assert len(taken(net, peer)) == before


def test_sessions_are_resumed(relay, net):
    server = relay()
    delivered(server, net, "ta.signed.test", "good", "dane")
    time.sleep(4)  # a connection is kept for three seconds; there is no event for its end
    before = len(taken(net, "good"))
    send(server, "eve@ta.signed.test")
    line = server.wait_log("delivered", "to=eve@ta.signed.test")[0]
    assert " resumed" in line and "certificate=valid" in line, line
    assert " resumed " in taken(net, "good")[before]


# ---- reports on TLS ----

def send_reports(net, server, counted):
    """Hands, in the network of the server, the reports of all days that have sessions to the queue (the test may run at midnight)."""
    days = {int(line.split()[2]) for line in counted.read_text().splitlines()}
    sent = []
    for day in sorted(days):
        date = time.strftime("%Y-%m-%d", time.gmtime(day * 86400))
        sent += json.loads(net.run(PROGRAM, "reports", "send", "--day", date, "--json", "--config", server.config, check=True).stdout)
    return sent


def read_reports(server, files):
    """Returns {domain: {(policy, result): sessions}}; the successes have the result None."""
    found = {}
    for report in json.loads(server.cli("reports", "read", *map(str, files), "--json").stdout):
        for policy in report["policies"]:
            rows = found.setdefault(policy["domain"], {})
            for result, sessions in [(None, policy["successes"])] + [(d["type"], d["sessions"]) for d in policy["details"]]:
                rows[policy["type"], result] = rows.get((policy["type"], result), 0) + sessions
    return {domain: {kind: count for kind, count in rows.items() if count} for domain, rows in found.items()}


def test_reports_on_tls(relay, net):
    """What relay saw survives a restart, and goes once to the domains that ask for it."""
    reports = {"extra": "trust: {mode: off, reports: {send: [tls]}}\n", "tls": ", tls: {needs-tls.plain.test: dane}"}
    server = relay(**reports)
    server.add_user("bob@example.org", "secret")
    delivered(server, net, "enforce.plain.test", "good", "sts")
    waits(server, net, "expired.plain.test", "expired", "sts", "expired")
    waits(server, net, "unlisted.plain.test", "good", "sts", "the policy does not list the host")
    waits(server, net, "stripped.plain.test", "stripped", "sts", "STARTTLS")
    waits(server, net, "wrong.signed.test", "good", "dane", "matches none of its TLSA records")
    delivered(server, net, "testing.plain.test", "stripped", "sts-testing", how="clear")
    delivered(server, net, "garbage.plain.test", "stripped", "may", how="clear")
    delivered(server, net, "untrusted.plain.test", "stripped", "may", how="clear")
    waits(server, net, "needs-tls.plain.test", "good", "dane", "relay.tls requires DANE")
    server.stop()
    server = relay(**reports)
    send(server, "eve@enforce.plain.test")
    server.wait_log("delivered", "to=eve@enforce.plain.test")
    server.stop()  # writes what is new
    server = relay(**reports)
    counted = server.data / "relay" / "tls-sessions"
    assert counted.stat().st_mode & 0o777 == 0o600 and " wrong.signed.test " in counted.read_text()
    before = len(taken(net, "stripped"))
    sent = send_reports(net, server, counted)
    assert {report["domain"] for report in sent if report["queued"]} == {f"{name}.plain.test" for name in REPORTED if name != "garbage"}, sent
    # Its own policy does not stop the report that tells of it.
    server.wait_log("delivered", "to=tls@stripped.plain.test", "tls_policy=may")
    assert taken(net, "stripped")[before].startswith("clear ")
    local = [report for report in sent if report["queued"] and report["to"] == "bob@example.org"]
    until(lambda: len(server.mail("bob@example.org")) >= len(local))
    files = sorted((server.maildir("bob@example.org") / "new").iterdir())
    found = read_reports(server, files)
    assert set(found) == {f"{name}.plain.test" for name, to in REPORTED.items() if to.startswith("bob@")}
    assert found["enforce.plain.test"] == {("sts", None): 2}
    assert found["expired.plain.test"] == {("sts", "certificate-expired"): 1}
    assert found["unlisted.plain.test"] == {("sts", "validation-failure"): 1}
    assert found["testing.plain.test"] == {("sts", "starttls-not-supported"): 1}
    assert found["untrusted.plain.test"] == {("no-policy-found", "starttls-not-supported"): 1, ("sts", "sts-webpki-invalid"): 1}
    assert found["needs-tls.plain.test"] == {("tlsa", "dane-required"): 1}
    text = files[0].read_text()
    assert "TLS-Report-Domain: " in text and "Return-Path: <>" in text and "From: <postmaster@" in text
    again = send_reports(net, server, counted)
    assert len(again) == len(sent) and not any(report["queued"] for report in again)
    assert "stripped.plain.test" in str(again) and " stripped.plain.test " in counted.read_text()
    failed = server.cli("reports", "send", "--day", "2026-02-30", check=False)
    assert failed.returncode == 64 and "is not a day that has begun" in failed.stderr
    server.stop()
    failed = server.cli("reports", "send", check=False)
    assert failed.returncode == 69 and "no server is running" in failed.stderr
