# SPDX-License-Identifier: Apache-2.0
"""Mail of other servers on port 25: judged by SPF, DKIM and DMARC before it is stored. nsd is the DNS; the
clients are behind a load balancer, which names their addresses."""
import base64
import concurrent.futures
import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import time

import dkim
import pytest

from mailboat import Mailboat, until
from name_server import NameServer
from plain_peer import Peer
from signing_keys import Keys

AWAY = "relay: {{via: smarthost, smarthost: {{host: 127.0.0.1, port: {}, tls: none}}}}\n"
RECORDS = """
_dmarc TXT "v=DMARC1; p=none; psd=y"
bank TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.bank TXT "v=DMARC1; p=reject"
shop TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.shop TXT "v=DMARC1; p=quarantine"
plain TXT "v=spf1 ip4:192.0.2.1 -all"
open A 192.0.2.7
_dmarc.dark TXT "v=DMARC1; p=reject"
dark TXT "v=spf1 include:spf.elsewhere.example -all"
mill TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.mill TXT "v=DMARC1; p=reject; rua=mailto:dmarc@home.test!10m,mailto:ada@victim.test"
mill.test._report._dmarc.home TXT "v=DMARC1"
_dmarc.stranger TXT "v=DMARC1; p=none; rua=mailto:dmarc@home.test"
stranger.test._report._dmarc.home TXT "v=DMARC1"
"""
FORGER, HONEST = "198.51.100.9", "192.0.2.1"
PROXIED = "proxy: [127.0.0.1], role: mx"


class Judging(Mailboat):
    """A server whose listener for other servers is behind a load balancer."""

    def write_config(self):
        super().write_config()
        self.config.write_text(self.config.read_text().replace("role: mx", PROXIED))


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """DNS with the RECORDS, and keys of rsa.test and ed.test, whose private halves are `keys`."""
    folder = tmp_path_factory.mktemp("names")
    records, keys = RECORDS, {}
    for name, algorithm, raw in (("rsa", "RSA", None), ("ed", "ED25519", -32)):
        file = folder / name
        subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, "-out", file], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", file, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        text = f"v=DKIM1; k={'rsa' if raw is None else 'ed25519'}; p={base64.b64encode(der[raw:] if raw else der).decode()}"
        records += f"s._domainkey.{name} TXT " + " ".join(f'"{text[at:at + 255]}"' for at in range(0, len(text), 255)) + "\n"
        keys[name] = file
    server = NameServer(folder, records)
    server.keys = keys
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, certificates, names):
    server = Judging(tmp_path_factory.mktemp("judging"), certificates, extra=names.resolver, trust="").start()
    server.add_user("ada@example.org", "secret-of-ada")
    yield server
    server.stop()


def client(server, ip):
    raw = socket.create_connection(("127.0.0.1", server.ports[25]), timeout=60)
    raw.sendall(f"PROXY TCP4 {ip} 192.0.2.200 40000 25\r\n".encode())
    it = smtplib.SMTP(timeout=60)
    it.sock = raw
    it._host = "localhost"
    assert it.getreply()[0] == 220
    return it


def letter(author, subject, more=""):
    return f"{more}From: {author}\r\nSubject: {subject}\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@x.test>\r\n\r\nhello\r\n"


def send(server, ip, sender, text):
    it = client(server, ip)
    it.ehlo("mx.sender.test")
    it.mail(sender)
    it.rcpt("ada@example.org")
    code, reply = it.data(text)
    it.close()
    return code, reply.decode()


def field_of(server, subject):
    """Returns the first field of the delivered message, unfolded."""
    text = server.arrivals("ada@example.org", subject)[0].decode().replace("\r\n", "\n")
    lines = [line for line in text.split("\n") if not line.startswith(("Return-Path:", "Delivered-To:"))]
    field = [lines[0]]
    for line in lines[1:]:
        if not line.startswith((" ", "\t")):
            break
        field.append(line)
    return " ".join(part.strip() for part in field)


def test_honest_mail_passes(server):
    assert send(server, HONEST, "a@bank.test", letter("a@bank.test", "honest"))[0] == 250
    field = field_of(server, "honest")
    assert field.startswith("Authentication-Results: mx.example.org;"), field
    assert "dmarc=pass" in field and "spf=pass" in field and "dkim=none" in field
    queue_id = re.search(r" id=(\w+)", server.wait_log("delivered", "to=ada@example.org")[0]).group(1)
    done = server.cli("explain", queue_id, "--json", check=False)  # it has left the queue
    assert done.returncode == 69 and json.loads(done.stdout) == {"id": queue_id, "trust": json.loads(done.stdout)["trust"]}
    assert json.loads(done.stdout)["trust"]["disposition"] == "deliver" and json.loads(done.stdout)["trust"]["author"] == "bank.test"


@pytest.mark.parametrize("name", ["rsa", "ed"])
def test_signatures_are_verified_in_the_sandbox(server, names, name):
    """By a process that can open no file, and survives it: the first signature that it sees, and the next."""
    dkim = pytest.importorskip("dkim")
    before = server.processes()["trust"]
    key = names.keys[name].read_bytes()
    if name == "ed":
        pytest.importorskip("nacl")
        der = subprocess.run(["openssl", "pkey", "-in", names.keys[name], "-outform", "DER"], check=True, capture_output=True).stdout
        key = base64.b64encode(der[-32:])
    for i in range(2):
        text = letter(f"a@{name}.test", f"signed-{name}-{i}").encode()
        signed = dkim.sign(text, b"s", f"{name}.test".encode(), key, signature_algorithm=b"rsa-sha256" if name == "rsa" else b"ed25519-sha256")
        assert send(server, FORGER, "b@elsewhere.test", signed.decode() + text.decode())[0] == 250
        assert "dkim=pass" in field_of(server, f"signed-{name}-{i}")
    assert server.processes()["trust"] == before


def test_forged_mail_is_refused_as_its_domain_asks(server):
    code, reply = send(server, FORGER, "a@elsewhere.test", letter("a@bank.test", "forged"))
    assert code == 550 and reply.startswith("5.7.26 ") and "bank.test" in reply
    assert send(server, FORGER, "a@elsewhere.test", letter("a@shop.test", "quarantined"))[0] == 250
    junk = server.maildir("ada@example.org") / ".Junk" / "new"
    until(lambda: junk.is_dir() and list(junk.iterdir()))
    assert b"dmarc=fail" in next(junk.iterdir()).read_bytes()
    assert send(server, FORGER, "a@plain.test", letter("a@plain.test", "spf-alone"))[0] == 250
    field = field_of(server, "spf-alone")
    assert "spf=fail" in field and "dmarc=none" in field
    assert send(server, FORGER, "a@open.test", letter("a@open.test", "nothing"))[0] == 250
    assert "spf=none" in field_of(server, "nothing")


@pytest.mark.parametrize("header, words", [
    ("From: a@plain.test\r\nFrom: b@plain.test\r\n", "more than one From"),
    ("To: a@example.org\r\n", "no From"),
    ("From: a@plain.test\r\nSubject: 1\r\nSubject: 2\r\n", "more than one Subject"),
    ("From: a@plain.test\r\nDate: 1\r\nDate: 2\r\n", "more than one Date"),
    ("From: a@plain.test\r\nX: " + "y" * 900 + "\r\n" + ("X: " + "y" * 900 + "\r\n") * 300, "256 KiB"),
], ids=["two From", "no From", "two Subject", "two Date", "large"])
def test_a_header_that_may_mean_two_things(server, header, words):
    code, reply = send(server, HONEST, "a@plain.test", header + "\r\nhello\r\n")
    assert code == 550 and reply.startswith("5.6.0 ") and words in reply


def test_forged_results_are_removed(server):
    forged = ["Authentication-Results: mx.example.org; dmarc=pass\r\n", "authentication-results:mx.example.org; spf=pass\r\n",
              "AUTHENTICATION-RESULTS:\r\n (it is us) MX.Example.ORG;\r\n\tdkim=pass\r\n", 'Authentication-Results: "mx.example.org" 1; dmarc=pass\r\n',
              "Authentication-Results: mx.example.org\r\n"]
    kept = "Authentication-Results: other.example.net; spf=pass\r\n"
    for number, more in enumerate([*forged, "".join(forged) + kept]):
        subject = f"stripped-{number}"
        assert send(server, HONEST, "a@plain.test", letter("a@plain.test", subject, more))[0] == 250
        text = server.arrivals("ada@example.org", subject)[0].decode().lower()
        assert text.count("authentication-results") == (2 if kept in more else 1), text
        assert text.count("mx.example.org; dmarc=") <= 1 and "it is us" not in text
    assert "other.example.net" in text


def test_a_policy_that_dns_cannot_decide_is_tried_again(server):
    """SPF of dark.test needs a name that the resolver refuses."""
    code, reply = send(server, FORGER, "a@dark.test", letter("a@dark.test", "dark"))
    assert code == 451 and reply.startswith("4.7.24 ") and "dark.test" in reply


def test_judgements_are_told(server):
    """The trust log has accepted and rejected mail."""
    send(server, FORGER, "a@elsewhere.test", letter("a@bank.test", "told-forged"))
    send(server, FORGER, "a@elsewhere.test", letter("a@shop.test", "told-junk"))
    until(lambda: "bank.test" in (log := server.cli("trust", "log").stdout) and "shop.test" in log)
    log = server.cli("trust", "log").stdout
    assert "bank.test" in log and "shop.test" in log, log


def test_large_mail_in_chunks(server):
    text = letter("a@bank.test", "large") + ("x" * 70 + "\r\n") * 20000
    assert send(server, HONEST, "a@bank.test", text)[0] == 250
    assert "dmarc=pass" in field_of(server, "large")
    assert send(server, FORGER, "a@bank.test", text.replace("large", "large-forged"))[0] == 550
    it = client(server, HONEST)
    it.ehlo("x")
    it.mail("a@bank.test")
    it.rcpt("ada@example.org")
    head, body = letter("a@bank.test", "chunks").encode().split(b"\r\n\r\n")
    for chunk, last in ((head[:10], ""), (head[10:] + b"\r\n\r", ""), (b"\n" + body, " LAST")):
        it.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
        assert it.getreply()[0] == 250
    it.close()
    assert "dmarc=pass" in field_of(server, "chunks")


def test_users_are_not_judged(server):
    with smtplib.SMTP("127.0.0.1", server.ports[587], timeout=30) as it:
        it.starttls()
        it.login("ada@example.org", "secret-of-ada")
        it.sendmail("ada@example.org", ["ada@example.org"], letter("ada@example.org", "mine", "Authentication-Results: other.example; spf=pass\r\n"))
    text = server.arrivals("ada@example.org", "mine")[0].decode()
    assert text.count("Authentication-Results") == 1


def test_forty_at_once_and_none_is_lost_when_trust_dies(server):
    """Each message is accepted, also if its trust process is killed; such messages are not judged, and record that."""
    since = len(server.log)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        work = [pool.submit(send, server, HONEST, "a@bank.test", letter("a@bank.test", f"many-{i}")) for i in range(200)]
        for _ in range(3):
            until(lambda: server.processes().get("trust"))
            for pid in server.processes().get("trust", []):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
        assert all(job.result()[0] == 250 for job in work)
    server.wait_log("process_died", "trust", since=since)
    for i in (0, 199):
        field = field_of(server, f"many-{i}")
        assert "dmarc=pass" in field or "dmarc=temperror" in field
    until(lambda: server.processes().get("trust"))
    assert send(server, FORGER, "a@bank.test", letter("a@bank.test", "after"))[0] in (250, 550)
    until(lambda: send(server, FORGER, "a@bank.test", letter("a@bank.test", "after"))[0] == 550)


def test_a_stopped_judge_delays_and_loses_nothing(server):
    pids = server.processes()["trust"]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert send(server, HONEST, "a@bank.test", letter("a@bank.test", "stuck"))[0] == 250
        assert time.monotonic() - began < 30
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert "dmarc=temperror" in field_of(server, "stuck")


def test_a_reload_answers_what_was_asked(server):
    """A message whose body comes after the reload is judged by the process that has its header."""
    it = client(server, HONEST)
    it.ehlo("x")
    it.mail("a@bank.test")
    it.rcpt("ada@example.org")
    assert it.docmd("DATA")[0] == 354
    it.send(letter("a@bank.test", "reloaded").encode())
    server.cli("reload")
    server.wait_log("reloaded")
    it.send(b"more\r\n.\r\n")
    assert it.getreply()[0] == 250
    it.close()
    assert "dmarc=pass" in field_of(server, "reloaded")
    assert send(server, FORGER, "a@bank.test", letter("a@bank.test", "after-reload"))[0] == 550


@pytest.mark.parametrize("kind", ["dead", "silent"])
def test_without_dns_mail_comes_soon(tmp_path, certificates, kind):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        if kind == "dead":
            sock.close()
        it = Judging(tmp_path / "server", certificates, extra=f'resolver: {{servers: ["127.0.0.1:{port}"]}}\n', trust="").start()
        try:
            it.add_user("ada@example.org", "secret-of-ada")
            began = time.monotonic()
            for i in range(5):
                assert send(it, HONEST, "a@bank.test", letter("a@bank.test", f"no-dns-{i}"))[0] == 250
            assert time.monotonic() - began < 20
            assert "spf=temperror" in field_of(it, "no-dns-4")
        finally:
            it.stop()


def test_observing_refuses_nothing(tmp_path, certificates, names):
    it = Judging(tmp_path / "server", certificates, extra=names.resolver, trust="trust: {mode: observe}\n").start()
    try:
        it.add_user("ada@example.org", "secret-of-ada")
        assert send(it, FORGER, "a@bank.test", letter("a@bank.test", "observed"))[0] == 250
        assert "dmarc=fail" in field_of(it, "observed")
    finally:
        it.stop()


def test_reports_on_dmarc(tmp_path, certificates, names):
    """The domains with which mail is exchanged get a report, at the addresses that agree to get it: once."""
    peer = Peer()
    it = Judging(tmp_path / "server", certificates, domains=("example.org", "home.test"), extra=names.resolver, relay=AWAY.format(peer.port),
                 trust="trust: {mode: enforce, reports: {send: [dmarc], from: noreply@reports.home.test}}\n").start()
    try:
        it.add_user("ada@example.org", "secret-of-ada")
        it.add_user("dmarc@home.test", "secret-of-dmarc")
        for i in range(2):
            assert send(it, HONEST, "a@mill.test", letter("a@mill.test", f"mill-{i}"))[0] == 250
        assert send(it, FORGER, "a@elsewhere.test", letter("a@mill.test", "forged"))[0] == 550
        assert send(it, FORGER, "a@stranger.test", letter("a@stranger.test", "stranger"))[0] == 250  # nothing of it passes
        # No report tells of reports.
        assert send(it, HONEST, "a@mill.test", letter("a@mill.test", "Report Domain: example.org"))[0] == 250
        until(lambda: "mill.test" in it.cli("trust", "log", "--disposition", "reject").stdout)  # rejected mail is stored some seconds later
        days = {time.strftime("%Y-%m-%d", time.gmtime(when)) for when in (time.time() - 600, time.time())}

        def report():
            sent = [json.loads(it.cli("reports", "send", "--day", day, "--json").stdout) for day in sorted(days)]
            return [one for day in sent for one in day]
        assert report() == []  # mail of mill.test has passed, but nobody here has sent it any
        for to in ("x@mill.test", "x@stranger.test"):
            it.cli("send", "--from", "ada@example.org", "--to", to, "--subject", "hello", "--body", "hello")
            it.wait_log("delivered", f"to={to}")
        sent = report()
        assert {(one["type"], one["domain"], one["to"], one["queued"]) for one in sent} == {("dmarc", "mill.test", "dmarc@home.test", True)}, sent
        until(lambda: len(it.mail("dmarc@home.test")) >= len(sent))
        assert not any(one["queued"] for one in report())
        files = [str(file) for file in (it.maildir("dmarc@home.test") / "new").iterdir()]
        read = json.loads(it.cli("reports", "read", *files, "--json").stdout)
        rows = sorted((row["source"], row["disposition"], row["aligned"], row["messages"]) for one in read for row in one["rows"])
        assert rows == [(HONEST, "pass", True, 2), (FORGER, "reject", False, 1)], rows
        assert all(one["domain"] == "mill.test" and one["email"] == "noreply@reports.home.test" for one in read)
    finally:
        it.stop()
        peer.close()


# ---- complaints ----

def complaint(author, copy, who, kind="abuse", part="message/rfc822"):
    copied = f"--b\r\nContent-Type: {part}\r\n\r\n{copy}\r\n" if copy else ""
    return (f"From: {author}\r\nSubject: complaint\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
            f"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nVersion: 1\r\nOriginal-Rcpt-To: <{who}>\r\n\r\n{copied}--b--\r\n")


def test_a_complaint_counts_if_it_is_proven(tmp_path, certificates, names):
    """Its sender passes the checks, and it has the header of a message that this server signed."""
    it = Judging(tmp_path / "server", certificates, extra=names.resolver + "dkim: {algorithms: []}\n", trust="").start()
    try:
        it.add_user("ada@example.org", "secret-of-ada")
        Keys(it).add("example.org", "old").add("example.org", "ours", number=2)  # both once signed
        foreign = tmp_path / "foreign.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", foreign], check=True, capture_output=True)
        text = letter("ada@example.org", "news").encode()

        def signed(selector="ours", file=None, domain="example.org"):
            pem = (file or it.data / "keys" / "example.org" / f"{selector}.pem").read_bytes()
            return (dkim.sign(text, selector.encode(), domain.encode(), pem, canonicalize=(b"relaxed", b"relaxed")) + text).decode()
        ours = signed()
        assert ours.startswith("DKIM-Signature")
        header, body = ours.split("\r\n\r\n", 1)
        good = [("1", HONEST, "fbl@mill.test", ours, {}), ("2", HONEST, "fbl@plain.test", header + "\r\n", {"part": "text/rfc822-headers"}),
                ("3", HONEST, "fbl@mill.test", signed("old"), {}), ("4", HONEST, "fbl@mill.test", f"{header}\r\n\r\ncut", {}),
                ("5", HONEST, "fbl@mill.test", None, {"kind": "auth-failure"})]
        unproven, foreigner, bare = "it is not proven who sent it", "has no valid signature of a domain of this server", "it has no header of the message"
        forged = [("6", FORGER, "fbl@stranger.test", ours, {}, unproven), ("7", FORGER, "fbl@plain.test", ours, {}, unproven),
                  ("8", HONEST, "fbl@mill.test", None, {}, bare), ("9", HONEST, "fbl@mill.test", text.decode(), {}, foreigner),
                  ("10", HONEST, "fbl@mill.test", ours.replace("Subject: news", "Subject: spam"), {}, foreigner),
                  ("11", HONEST, "fbl@mill.test", signed("ours", foreign), {}, foreigner), ("12", HONEST, "fbl@mill.test", signed("s", foreign, "mill.test"), {}, foreigner),
                  ("13", HONEST, "fbl@mill.test", signed("none", foreign), {}, foreigner), ("14", FORGER, "fbl@stranger.test", None, {"kind": "auth-failure"}, unproven),
                  ("15", HONEST, "fbl@mill.test", signed("ours", foreign, "..%2f..%2fetc.example.org"), {}, foreigner)]
        for who, ip, author, copy, options, *_ in good + forged:
            mail = client(it, ip)
            mail.ehlo("mx.sender.test")
            mail.mail(author)
            mail.rcpt("feedback-reports@example.org")
            forged_results = "Authentication-Results: mx.example.org; dmarc=pass\r\n"
            assert mail.data(forged_results + complaint(author, copy, f"{who}@there.test", **options))[0] == 250
            mail.close()
        it.wait_log("report_read", "kind=complaint", count=len(good))
        it.wait_log("complaint_not_counted", count=len(forged))
        said = json.loads(it.cli("reports", "--json").stdout)
        assert {c["address"] for c in said["complaints"]} == {f"{who}@there.test" for who, *_ in good}
        kept = [k["reason"] for k in json.loads(it.cli("reports", "kept", "--json").stdout)]
        assert sorted(kept) == sorted(next(r for r in kept if why in r) for *_, why in forged) and all(r.startswith("a complaint that does not count: ") for r in kept)
        assert not it.lines("process_died")
    finally:
        it.stop()
