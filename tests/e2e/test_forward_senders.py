# SPDX-License-Identifier: Apache-2.0
"""Senders of forwarded mail (SRS): what the next server sees, what comes back through it, and what does not."""
import json
import re
import smtplib

import pytest

from mailboat import Mailboat, run, smtp, until
from plain_peer import Peer

PASSWORD = "secret-of-ada"
ANNE = "Anne.Of+Gables@stranger.example"
LETTER = "From: {}\r\nTo: team@us.example\r\nSubject: {}\r\n\r\ntext\r\n"


def server_for(folder, certificates, domain, **places):
    """Returns a server whose mail to other domains goes to the given ports."""
    routes = ", ".join(f"{{domain: {name}.example, host: localhost, port: {port}, tls: none}}" for name, port in places.items())
    server = Mailboat(folder, certificates, domains=domain if isinstance(domain, tuple) else (domain,))
    server.relay = f"relay:\n  routes: [{routes}]\n"
    server.extra = "queue: {retry: {first: 1h, max: 1h}}\n"
    return server


@pytest.fixture
def peers():
    """Two servers of others: the original sender's, and one two hops away."""
    both = Peer(), Peer()
    yield both
    for peer in both:
        peer.close()


def give(server, sender, recipient, subject="hello", port=25, **who):
    with smtp(server, port, starttls=port != 25, **who) as client:
        client.sendmail(sender, [recipient], LETTER.format(sender if who else "Anne <anne@stranger.example>", subject))


def rcpt(server, address, sender=""):
    """Returns the reply to one RCPT."""
    with smtp(server, 25, starttls=False) as client:
        client.ehlo()
        assert client.mail(sender)[0] == 250
        code, text = client.rcpt(address)
        return f"{code} {text.decode()}"


def sender_of(said):
    return re.match(r"MAIL FROM:<(.*?)>", said[0]).group(1)


def letters(peer, subject):
    """Waits for mail of that subject; returns (sender, recipients, content) of each."""
    def found():
        return [(sender_of(said), [line[9:-1] for line in said[1:]], content) for said, content in peer.letters
                if f"Subject: {subject}\r\n".encode() in content]
    until(found)
    return found()


def test_from_a_stranger_through_two_forwarders_and_back(tmp_path, certificates, peers):
    stranger, far = peers
    us = server_for(tmp_path / "us", certificates, "us.example", stranger=stranger.port)
    following = server_for(tmp_path / "next", certificates, "next.example", far=far.port, us=us.ports[25])
    us.relay = us.relay.replace("routes: [", f"routes: [{{domain: next.example, host: localhost, port: {following.ports[25]}, tls: none}}, ")
    with_both = [us, following]
    try:
        for server, user in ((us, "ada@us.example"), (following, "bob@next.example")):
            server.start()
            server.add_user(user, PASSWORD)
        us.cli("user", "forward", "ada@us.example", "bob@next.example")
        following.cli("user", "forward", "bob@next.example", "carl@far.example")

        give(us, ANNE, "ada@us.example")
        (there, recipients, content), = letters(far, "hello")
        assert recipients == ["carl@far.example"] and b"From: Anne <anne@stranger.example>\r\n" in content
        assert re.fullmatch(r"SRS1=[a-z2-7]{8}=us\.example==[a-z2-7]{8}=[a-z2-7]{2}=stranger\.example=Anne\.Of\+Gables@next\.example", there)
        us.wait_log("delivered", "to=bob@next.example", 'sent_as="SRS0='), following.wait_log("delivered", 'sent_as="SRS1=')
        own, = us.arrivals("ada@us.example", "hello")
        assert b"Return-Path: <Anne.Of+Gables@stranger.example>" in own  # unchanged in the mailbox

        # SPF at the next server: right for the rewritten sender, wrong for the original
        kept, = following.arrivals("bob@next.example", "hello")
        first = re.search(rb"Return-Path: <(.*?)>", kept).group(1).decode()
        assert first.startswith("SRS0=") and first.endswith("@us.example")
        (tmp_path / "kept.eml").write_bytes(kept)
        (tmp_path / "zone.json").write_text(json.dumps({"us.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
                                                        "stranger.example": {"TXT": ["v=spf1 ip4:198.51.100.1 -all"]}}))
        for sender, result in ((first, "pass"), (ANNE, "fail")):
            done = run("trust", "check", tmp_path / "kept.eml", "--ip", "192.0.2.1", "--from", sender, "--zone", tmp_path / "zone.json", "--json", check=False)
            assert json.loads(done.stdout)["spf"]["result"] == result, done.stdout + done.stderr

        # the last server's bounce returns through both; servers in between may change the case
        give(following, "", there.upper(), "bounce")
        (back, recipients, content), = letters(stranger, "bounce")
        assert back == "" and recipients[0].lower() == ANNE.lower()
        assert b"Delivered-To: SRS0=" in content and b"Delivered-To: SRS1=" in content

        # a report of this server, about a copy that was rejected
        far.says = {"carl@far.example": "550 5.1.1 nobody here"}
        give(us, ANNE, "ada@us.example", "refused")
        until(lambda: any(b"Action: failed" in content for said, content in stranger.letters))
        (said, content), = [letter for letter in stranger.letters if b"Action: failed" in letter[1]]
        assert sender_of(said) == "" and said[1] == f"RCPT TO:<{ANNE}>"
        assert b"Final-Recipient: rfc822; " in content and b"Delivered-To: SRS0=" in content
    finally:
        for server in with_both:
            server.stop()


def test_who_is_rewritten_and_what_comes_back(tmp_path, certificates, peers):
    stranger, far = peers
    us = server_for(tmp_path / "us", certificates, ("us.example", "other.example", "same.example"), stranger=stranger.port, far=far.port)
    us.relay = us.relay.rstrip() + "\n  domains: [{domain: far.example, recipients: [inside]}]\n"
    us.relay = us.relay.replace("domain: far.example, host", "domain: away.example, host: localhost, port: 1, tls: none}, {domain: far.example, host")
    us.relay = us.relay.replace("host: localhost, port: 1, tls: none", f"host: localhost, port: {far.port}, tls: none")
    us.start()
    try:
        us.add_user("ada@us.example", PASSWORD)
        us.cli("alias", "add", "team@us.example", "ada@us.example", "x1@away.example")
        us.cli("alias", "add", "@other.example", "x2@away.example")
        us.cli("alias", "add", "@same.example", "@us.example")
        us.cli("alias", "add", "large@us.example", "--from", "-", text_input="".join(f"m{i}@away.example\n" for i in range(120)))
        us.cli("alias", "add", "relayed@us.example", "inside@far.example")

        # the domain of the forwarding address, for every kind of forwarding
        for i, (to, domain) in enumerate((("team@us.example", "us"), ("anybody@other.example", "other"), ("team@same.example", "us"), ("large@us.example", "us"))):
            give(us, ANNE, to, f"way {i}")
            for sender, recipients, _ in letters(far, f"way {i}"):
                assert sender.startswith("SRS0=") and sender.endswith(f"=stranger.example=Anne.Of+Gables@{domain}.example"), sender
        until(lambda: sum(len(r) for _, r, _ in letters(far, "way 3")) == 120)
        assert sum(len(r) for _, r, _ in letters(far, "way 3")) == 120
        first = letters(far, "way 0")[0][0]

        # unchanged senders: local users, local domains, the null sender, and mail to a relayed domain
        give(us, "ada@us.example", "team@us.example", "own", port=587, user="ada@us.example", password=PASSWORD)
        give(us, "someone@us.example", "team@us.example", "ours")
        give(us, "", "team@us.example", "null")
        give(us, ANNE, "relayed@us.example", "relayed")
        give(us, "anne@[192.0.2.1]", "team@us.example", "literal")
        for subject, sender in (("own", "ada@us.example"), ("ours", "someone@us.example"), ("null", ""), ("relayed", ANNE), ("literal", "anne@[192.0.2.1]")):
            assert [found for found, _, _ in letters(far, subject)] == [sender]
        give(us, "list+bounces=x@stranger.example", "team@us.example", "verp")  # no cached result of another sender is used
        (verp, _, _), = letters(far, "verp")
        assert verp.endswith("=stranger.example=list+bounces=x@us.example")

        # as an attacker
        local, domain = first.split("@")
        _, mac, day, rest = local.split("=", 3)
        assert rcpt(us, first).startswith("250") and rcpt(us, first.lower()).startswith("250") and rcpt(us, first.upper()).startswith("250")
        assert rcpt(us, f"{local}@same.example").startswith("250")
        for address in (f"SRS0={mac[::-1]}={day}={rest}@{domain}", f"SRS0={mac}={day}=victim.example=bob@{domain}", f"SRS0={mac}={day}={rest}x@{domain}",
                        f"SRS1={mac}=victim.example=={day}={rest}@{domain}", f"SRS0={mac}=aa={rest}@{domain}", f'"SRS0={mac}={day}={rest} x"@{domain}',
                        f"SRS0=aaaaaaaa=aa=us.example=ada@{domain}", f"SRS0=aaaaaaaa=aa=[192.0.2.1]=ada@{domain}".replace("[", "").replace("]", ""),
                        "SRS0=aaaaaaaa=aa=" + "v" * 230 + f"=b@{domain}"):
            assert rcpt(us, address).startswith("550 5.1.1 <") and "did not make this bounce address" in rcpt(us, address), address
        assert rcpt(us, "SRS0=aaaaaaaa=aa=" + "v" * 260 + f"=b@{domain}").startswith("501")
        assert rcpt(us, first, "eve@evil.example").startswith("550 5.1.1 <") and "only bounces" in rcpt(us, first, "eve@evil.example")
        assert rcpt(us, f"{local}@elsewhere.example").startswith("550 5.7.1")

        # the key is shown, and survives a restart and the end of the rewriting
        far.says = {"x1@away.example": "450 4.2.0 later"}
        give(us, ANNE, "team@us.example", "later")
        deferred, = us.wait_log("deferred", "x1@away.example")
        assert 'sent_as="SRS0=' in deferred
        id = re.search(r"id=(\w+)", deferred).group(1)
        for command in (("queue", "show", id), ("explain", id)):
            text = us.cli(*command).stdout
            assert f"from <{ANNE}>" in text and re.search(r"forwarded as from <SRS0=\S+@us\.example>", " ".join(text.split()))
            facts = json.loads(us.cli(*command, "--json").stdout)
            assert facts["sender"] == ANNE and facts["recipients"][0]["sent_as"].endswith("=Anne.Of+Gables@us.example")
        us.stop()
        us.extra += "forward: {srs: false}\n"
        us.start()
        far.says = "250 ok"
        us.cli("queue", "retry", id)
        assert letters(far, "later")[0][0].startswith("SRS0=")
        give(us, ANNE, "team@us.example", "off")
        assert letters(far, "off")[0][0] == ANNE
        assert rcpt(us, first).startswith("250")
        give(us, "", first, "bounce")
        assert letters(stranger, "bounce")[0][:2] == ("", [ANNE])

        # a new key: bounces to the old key's addresses are accepted while that is kept
        key, old = us.data / "accounts/srs.key", us.data / "accounts/srs.key.old"
        us.stop()
        key.rename(old)
        us.start()
        assert len(key.read_bytes()) == 32 and rcpt(us, first).startswith("250")
        us.stop()
        old.unlink()
        key.write_bytes(b"short")
        us.start()
        us.wait_log("srs_key_unusable", "does not have 32 bytes", "remove the file and reload")
        assert rcpt(us, first).startswith("451")
    finally:
        us.stop()
