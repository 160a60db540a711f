# SPDX-License-Identifier: Apache-2.0
"""Outgoing mail is signed (DKIM) in the form in which the next server gets it, and verified here by verifiers of other
projects, dkimpy, Mail::DKIM and OpenDKIM where they are installed, and by `mailboat trust check`."""
import base64
import email
import email.policy
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from email.message import EmailMessage

import pytest

from mailboat import smtp, until
from plain_peer import Peer, away_to
from signing_keys import Keys, reload
from test_encodings import letter, mixed

dkim = pytest.importorskip("dkim")
ADA, BOB, PASSWORD = "ada@example.org", "bob@there.net", "secret-of-ada"
EIGHT = email.policy.SMTP.clone(cte_type="8bit")
MODERN = ["8BITMIME", "SIZE 100000000", "PIPELINING", "SMTPUTF8"]


@pytest.fixture
def signing(mailboat, peer):
    """A server with a key for its domain and the user ada, whose mail goes to the peer."""
    peer.knows = list(MODERN)
    server = mailboat(relay=away_to(peer.port))
    server.add_user(ADA, PASSWORD)
    server.keys = Keys(server).add("example.org")
    reload(server)
    return server


def submit(server, content, recipients=(BOB,), parameters=(), sender=ADA, port=587, user=ADA):
    with smtp(server, port, user=user, password=PASSWORD if user else None) as client:
        client.ehlo()
        code, said = client.mail(sender, parameters)
        assert code == 250, said
        for recipient in recipients:
            code, said = client.docmd(f"RCPT TO:<{recipient}>")
            assert code == 250, said
        if "BODY=BINARYMIME" in parameters:
            client.send(f"BDAT {len(content)} LAST\r\n".encode() + content)
            code, said = client.getreply()
        else:
            code, said = client.data(content)
        assert code == 250, said


def simple(subject="hello", sender=ADA, body="hello\n", **fields):
    message = EmailMessage(policy=EIGHT)
    message["From"], message["To"], message["Subject"] = sender, BOB, subject
    message["Message-ID"], message["Date"] = f"<{abs(hash(subject))}@example.org>", "Mon, 23 Nov 2026 12:00:00 +0000"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content(body, cte="8bit")
    return message.as_bytes(policy=EIGHT)


def letters(peer, count=1):
    until(lambda: len(peer.letters) >= count)
    assert len(peer.letters) == count
    return peer.letters


def signature_of(content):
    """Returns the tags of the first field, which must be a signature."""
    assert content.startswith(b"DKIM-Signature: "), content[:200]
    value = re.match(rb"DKIM-Signature:((?:[^\r]|\r\n[ \t])*)", content).group(1).decode()
    return dict(tag.strip().split("=", 1) for tag in re.sub(r"\s+", "", value).split(";"))


# ---- verifiers ----

def by_mailboat(server, content):
    (server.folder / "message.eml").write_bytes(content)
    (server.folder / "zone.json").write_text(json.dumps(server.keys.zone))
    said = json.loads(server.cli("trust", "check", server.folder / "message.eml", "--ip", "192.0.2.1", "--from", ADA,
                                 "--zone", server.folder / "zone.json", "--json").stdout)
    assert said["dkim"] and all(one["result"] == "pass" for one in said["dkim"]), said["dkim"]


def by_dkimpy(server, content):
    verifier = dkim.DKIM(content, minkey=1024)
    for i in range(content.count(b"DKIM-Signature: ")):
        assert verifier.verify(idx=i, dnsfunc=lambda name, timeout=5: server.keys.text(name.decode() if isinstance(name, bytes) else name).encode())


PERL = """use Mail::DKIM::Verifier; use JSON::PP; use Net::DNS::RR;
local $/; open(my $z, '<', $ARGV[0]); my $zone = decode_json(<$z>);
{ package Zone; sub new { bless {}, shift }
  sub query { my ($s, $n) = @_; $n =~ s/\\.$//; my $t = $zone->{$n}{TXT}[0] or return undef;
    my $p = Net::DNS::Packet->new($n, 'TXT', 'IN'); $p->push(answer => Net::DNS::RR->new(name => $n, type => 'TXT', txtdata => [unpack('(A250)*', $t)])); return $p }
  sub send { my $s = shift; return $s->query(@_) } sub errorstring { 'NXDOMAIN' } sub bgsend { $_[0]->query(@_[1..$#_]) } sub bgisready { 1 } sub bgbusy { 0 } sub bgread { $_[1] } }
Mail::DKIM::DNS::resolver(Zone->new);
my $v = Mail::DKIM::Verifier->new; open(my $m, '<:raw', $ARGV[1]); $v->PRINT(scalar <$m>); $v->CLOSE;
print $v->result_detail;"""


def by_perl(server, content):
    if subprocess.run(["perl", "-MMail::DKIM::Verifier", "-MJSON::PP", "-e", "1"], capture_output=True).returncode != 0:
        return
    (server.folder / "message.eml").write_bytes(content)
    (server.folder / "zone.json").write_text(json.dumps(server.keys.zone))
    done = subprocess.run(["perl", "-MMail::DKIM::DNS", "-e", PERL, server.folder / "zone.json", server.folder / "message.eml"], capture_output=True, text=True)
    assert done.stdout == "pass", (done.stdout, done.stderr)


def verify(server, content):
    by_mailboat(server, content)
    by_dkimpy(server, content)
    by_perl(server, content)


# ---- what is signed ----

def test_mail_of_users_is_signed_above_all_else(signing, peer):
    submit(signing, simple(List_Unsubscribe="<https://example.org/u>", List_Unsubscribe_Post="List-Unsubscribe=One-Click"))
    (said, content), = letters(peer)
    tags = signature_of(content)
    assert (tags["d"], tags["s"], tags["a"], tags["c"]) == ("example.org", "one", "rsa-sha256", "relaxed/relaxed")
    names = tags["h"].split(":")
    assert names.count("from") == 2 and {"subject", "list-unsubscribe", "list-unsubscribe-post"} <= set(names)
    assert "l" not in tags and "x" not in tags and abs(int(tags["t"]) - time.time()) < 60
    assert f"SIZE={len(content)}" in said[0]
    assert b"\r\nReceived:" in content.split(b"\r\n\r\n")[0]
    verify(signing, content)


LONG = EmailMessage(policy=EIGHT)
LONG["From"], LONG["To"], LONG["Subject"], LONG["Message-ID"], LONG["Date"] = ADA, BOB, "long", "<l@example.org>", "Mon, 23 Nov 2026 12:00:00 +0000"
LONG = LONG.as_bytes(policy=EIGHT).rstrip() + b"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 3000 + b"\r\n.dot\r\n\r\n\r\n"
BINARY = letter().as_bytes(policy=EIGHT).split(b"\r\n\r\n")[0].replace(b"8bit", b"binary").replace(b"text/plain", b"application/octet-stream") + b"\r\n\r\n" + bytes(range(256)) * 40
FORMS = {"plain": (simple(), [], MODERN), "eight": (letter().as_bytes(policy=EIGHT), ["BODY=8BITMIME"], MODERN),
         "eight to seven": (letter().as_bytes(policy=EIGHT), ["BODY=8BITMIME"], ["PIPELINING"]),
         "parts to seven": (mixed().as_bytes(policy=EIGHT), ["BODY=8BITMIME"], []),
         "old server": (simple(), [], []),
         "long lines": (LONG, [], MODERN), "long lines in chunks": (LONG, [], MODERN + ["CHUNKING"]),
         "binary": (BINARY, ["BODY=BINARYMIME"], MODERN + ["CHUNKING", "BINARYMIME"]), "binary to eight": (BINARY, ["BODY=BINARYMIME"], MODERN),
         "binary to seven": (BINARY, ["BODY=BINARYMIME"], []),
         "large": (simple(body="a line of it  with  blanks \n" * 40000), [], MODERN),
         "large in chunks": (simple(body="a line of it\t\n" * 80000 + "\n\n\n"), [], MODERN + ["CHUNKING"]),
         "large to seven": (mixed().as_bytes(policy=EIGHT).replace(b"--b", "ü".encode() * 300 + b"\r\n") + b"z\r\n" * 200000, ["BODY=8BITMIME"], []),
         "no body": (simple().split(b"\r\n\r\n")[0] + b"\r\n\r\n", [], MODERN), "no empty line": (simple().split(b"\r\n\r\n")[0] + b"\r\n", [], MODERN)}


def test_a_signature_is_of_what_each_server_gets(mailboat):
    """Converted for servers without extensions, with line ends fixed and lines shortened: it verifies as received."""
    peers = {name: Peer() for name in FORMS}
    domains = {name: name.replace(" ", "-") + ".there.net" for name in FORMS}
    routes = "".join(f"    - {{domain: {domains[name]}, host: localhost, port: {one.port}}}\n" for name, one in peers.items())
    server = mailboat(relay=f"relay:\n  routes:\n{routes}")
    server.add_user(ADA, PASSWORD)
    server.keys = Keys(server).add("example.org")
    reload(server)
    for name, (content, parameters, knows) in FORMS.items():
        peers[name].knows = list(knows)
        submit(server, content, [f"bob@{domains[name]}"], parameters)
    for name, one in peers.items():
        (_, got), = letters(one)
        signature_of(got)
        try:
            if name == "binary":  # the verifiers' files have fixed line ends: a different body
                assert signature_of(got)["bh"] == relaxed_digest(got.split(b"\r\n\r\n", 1)[1])
            else:
                verify(server, got)
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error
        if "seven" in name:
            assert got.isascii() and b"Encoding: 8bit" not in got and b"Encoding: binary" not in got, name
        one.close()


def relaxed_digest(body):
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return base64.b64encode(hashlib.sha256(b"".join(line + b"\r\n" for line in lines)).digest()).decode()


def test_who_is_signed_for_and_who_is_not(signing, peer):
    """Unauthenticated senders that claim a local domain, other domains of local users, this server's reports."""
    signing.cli("user", "forward", ADA, "carol@there.net")
    forged = simple("forged")
    submit(signing, forged, [ADA], sender="x@elsewhere.net", port=25, user=None)
    (_, got), = letters(peer)
    assert b"Subject: forged" in got and b"DKIM-Signature" not in got
    # the next server rejects forwarded mail: this server reports that to the sender, signed by the domain above this host
    peer.says = {"carol@there.net": "550 5.1.1 no"}
    submit(signing, simple("again"), [ADA], sender="x@elsewhere.net", port=25, user=None)
    (_, report) = letters(peer, 2)[1]
    assert b"mailer-daemon@mx.example.org" in report and signature_of(report)["d"] == "example.org"
    verify(signing, report)
    # forwarded mail between local users was submitted here
    peer.says = "250 ok"
    submit(signing, simple("of ada"), [ADA])
    verify(signing, letters(peer, 3)[2][1])
    # authors of different domains: no single domain is responsible
    since = len(signing.log)
    with smtp(signing, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo()
        client.mail(ADA)
        client.rcpt(BOB)
        code, _ = client.data(simple("two", sender=f"{ADA}, eve@elsewhere.net"))
    if code == 250:
        assert b"DKIM-Signature" not in letters(peer, 4)[3][1]
        signing.wait_log("not_signed", since=since)


def test_one_signature_for_all_recipients_and_both_algorithms(signing, peer):
    signing.keys.add("example.org", "two", "ed25519", number=2).add("example.org", "three", stage="prepared", number=3)
    reload(signing)
    peer.takes = 1
    submit(signing, simple(), ["a@there.net", "b@there.net", "c@there.net"])
    got = [content for _, content in letters(peer, 3)]
    assert len(set(got)) == 1 and got[0].count(b"DKIM-Signature: ") == 2
    assert {re.search(rb"s=(\w+)", part).group(1) for part in got[0].split(b"DKIM-Signature: ")[1:]} == {b"one", b"two"}
    by_dkimpy(signing, got[0])
    by_mailboat(signing, got[0])


def test_a_key_that_cannot_be_used_defers_and_none_does_not(signing, peer):
    """Mail of a domain is never sent unsigned because its key is broken; mail of a domain without a key is."""
    signing.keys.add("example.org", pem="not a key\n")
    since = len(signing.log)
    reload(signing)
    assert "example.org" in signing.wait_log("dkim_key_unusable", since=since)[0]
    submit(signing, simple("waits"))
    line = signing.wait_log("deferred", "to=bob@there.net", since=since)[0]
    assert "4.7.5" in line and "DKIM key" in line and not peer.letters
    signing.keys.add("example.org")
    reload(signing)
    signing.cli("queue", "retry", "--all", check=False)
    verify(signing, letters(peer)[0][1])
    shutil.rmtree(signing.data / "keys" / "example.org")
    reload(signing)
    submit(signing, simple("plain"))
    assert b"DKIM-Signature" not in letters(peer, 2)[1][1]


def test_a_domain_without_a_key_has_no_signature_though_the_server_has_one(signing, peer):
    """The key above the server's name signs what the server writes, and no mail of a user at that name; that the
    name has no key of its own, which is remembered then, leaves no report unsigned."""
    host = "bob@mx.example.org"
    signing.cli("domain", "add", "mx.example.org")
    signing.add_user(host, PASSWORD)
    signing.cli("user", "forward", ADA, "carol@there.net")
    shutil.rmtree(signing.data / "keys" / "mx.example.org", ignore_errors=True)  # domain add makes one, which does not sign yet
    submit(signing, simple("of bob", sender=host), sender=host, user=host)
    assert b"DKIM-Signature" not in letters(peer)[0][1]
    peer.says = {"carol@there.net": "550 5.1.1 no"}
    submit(signing, simple("bounces"), [ADA], sender="x@elsewhere.net", port=25, user=None)
    report = letters(peer, 2)[1][1]
    assert b"From: Mail Delivery System <mailer-daemon@mx.example.org>" in report
    assert signature_of(report)["d"] == "example.org"
    verify(signing, report)
    submit(signing, simple("of bob again", sender=host), sender=host, user=host)
    assert b"DKIM-Signature" not in letters(peer, 3)[2][1]


def test_explain_knows_that_a_report_is_signed_by_the_key_above(mailboat, peer):
    routes = "".join(f"    - {{domain: {domain}, host: localhost, port: {peer.port}}}\n" for domain in ("there.net", "elsewhere.net"))
    signing = mailboat(relay=f"relay:\n  routes:\n{routes}")
    signing.add_user(ADA, PASSWORD)
    Keys(signing).add("example.org")
    signing.cli("user", "forward", ADA, "carol@there.net")
    peer.says = {"carol@there.net": "550 5.1.1 no", "x@elsewhere.net": "450 4.2.0 later"}

    def explained(subject):
        since = len(signing.log)
        submit(signing, simple(subject), [ADA], sender="x@elsewhere.net", port=25, user=None)
        line = signing.wait_log("deferred", "to=x@elsewhere.net", since=since)[0]
        return " ".join(signing.cli("explain", re.search(r" id=(\w+)", line).group(1)).stdout.split())

    assert "no DKIM key signs" not in explained("with a key")
    shutil.rmtree(signing.data / "keys" / "example.org")
    assert "no DKIM key signs for mx.example.org" in explained("without")


def test_kill_9_of_sign_under_load_loses_nothing(signing, peer):
    count, stop = 120, threading.Event()

    def killer():
        while not stop.wait(0.3):
            for pid in signing.processes().get("sign", []):
                os.kill(pid, signal.SIGKILL)

    killing = threading.Thread(target=killer)
    killing.start()
    try:
        senders = [threading.Thread(target=lambda n=n: [submit(signing, simple(f"{n}-{i}")) for i in range(count // 6)]) for n in range(6)]
        for one in senders:
            one.start()
        for one in senders:
            one.join()
    finally:
        stop.set()
        killing.join()
    signing.cli("queue", "retry", "--all", check=False)
    until(lambda: len(peer.letters) >= count)
    got = [content for _, content in peer.letters]
    assert {email.message_from_bytes(content)["Subject"] for content in got} == {f"{n}-{i}" for n in range(6) for i in range(count // 6)}
    for content in got:
        assert signature_of(content)["d"] == "example.org"
    for content in got[::10]:
        by_dkimpy(signing, content)
