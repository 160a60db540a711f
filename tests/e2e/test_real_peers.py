# SPDX-License-Identifier: Apache-2.0
"""Relaying to Postfix, Exim and OpenSMTPD in network namespaces, by MX, on port 25."""
import email
import email.policy
import os
import subprocess

import pytest

from mailboat import PROGRAM, make_certificates, until
from networks import networks
from peers import Exim, OpenSmtpd, Postfix

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

ADA, BODY = "ada@here.test", "Grüße über die Hügel\n.\n..two dots\n"
REJECTS = ("smtpd_recipient_restrictions = check_recipient_access inline:{{nobody@example.test=REJECT nobody of that name}}, "
           "reject_unauth_destination\nbiff = no\n")


def start_postfix(folder, certificates, namespace):
    return Postfix(folder, "example.test", certificates, namespace, null_client=REJECTS)


def start_in(kind):
    return lambda folder, certificates, namespace: kind(folder, "example.test", certificates, namespace)


# How it starts, how it shows that a message came by BDAT (without BDAT: nothing), whether its TLS works, and its
# reply to an international address. Debian 12's OpenSMTPD is for an older OpenSSL: with this one it does not find
# its own private key, of any kind, during each handshake ("EVP lib", "missing private key").
PEERS = {"postfix": (start_postfix, "bdat=", True, True), "exim": (start_in(Exim), " K ", True, True), "opensmtpd": (start_in(OpenSmtpd), None, False, False)}


@pytest.fixture(scope="module", params=PEERS)
def world(request, tmp_path_factory):
    """One of the peers, and a relay on the other host."""
    start, chunked, tls_works, international = PEERS[request.param]
    certificates = make_certificates(tmp_path_factory.mktemp("tls"), "mail.example.test")
    with networks(tmp_path_factory.mktemp("net")) as net:
        folder = tmp_path_factory.mktemp(request.param)
        try:
            peer = start(folder, certificates, net.server)
        except subprocess.CalledProcessError as failed:
            if request.param != "opensmtpd":
                raise
            pytest.skip(f"OpenSMTPD's package cannot be fetched: {failed}")
        try:
            net.wait_port(25)
            relay = net.mailboat(tmp_path_factory.mktemp("relay"), certificates)
            relay.relay = "relay: {tls: {a.example.test: encrypt}}\n"
            relay.domains, relay.wrapper = ("here.test",), ["ip", "netns", "exec", net.client]
            relay.start()
            relay.add_user(ADA, "secret-of-ada")
            relay.net, relay.chunked, relay.peer, relay.peer_folder = net, chunked, peer, folder
            relay.tls_works, relay.international = tls_works, international
            yield relay
            relay.stop()
        finally:
            peer.stop()


def send(relay, subject, body, *to):
    relay.net.run(PROGRAM, "send", "--config", relay.config, "--from", ADA, "--subject", subject, "--body", body,
                  *(word for address in to for word in ("--to", address)), check=True)


def arrived(relay, subject, count):
    """Waits until the peer has this many messages of that subject in its mailboxes."""
    def found():
        letters = [email.message_from_bytes(text, policy=email.policy.default) for text in relay.peer.mail()]
        return [letter for letter in letters if letter["Subject"] == subject]
    until(lambda: len(found()) >= count)
    assert len(found()) == count
    return found()


def test_one_of_several_recipients_is_refused(world):
    send(world, "three of them", BODY, "bob@example.test", "nobody@example.test", "eve@example.test")
    for name in ("bob", "eve"):
        line, = world.wait_log("delivered", f"to={name}@example.test")
        assert "peer=mail.example.test[192.0.2.2]:25" in line and ("TLSv1.3" in line) == world.tls_works, line
    world.wait_log("bounced", "to=nobody@example.test", "code=55")
    until(lambda: any(b"Final-Recipient: rfc822; nobody@example.test" in text for text in world.mail(ADA)))
    reports = [text for text in world.mail(ADA) if b"multipart/report" in text]
    assert len(reports) == 1 and b"Final-Recipient: rfc822; bob@" not in reports[0]
    letter = arrived(world, "three of them", 2)[0]
    assert letter.get_content().replace("\r\n", "\n").rstrip("\n") == BODY.rstrip("\n")


def test_a_large_message_comes_whole(world, tmp_path):
    body = "".join(f"{i:07} ü over the hills\n" for i in range(100_000))
    file = tmp_path / "large"
    file.write_text(f"From: {ADA}\nTo: bob@example.test\nSubject: large\nMIME-Version: 1.0\n"
                    f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}")
    world.net.run(PROGRAM, "send", "--config", world.config, "--from", ADA, "-t", file, check=True)
    letter, = arrived(world, "large", 1)
    assert letter.get_content().replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")
    logs = lambda: "".join(path.read_text(errors="replace") for path in world.peer_folder.rglob("*log") if path.is_file())
    if world.chunked:
        until(lambda: world.chunked in logs())
        assert world.chunked in logs()


def test_an_international_address(world):
    send(world, "international", BODY, "bób@example.test")
    if not world.international:  # RFC 6531 3.2: a server that does not offer SMTPUTF8 does not get it
        world.wait_log("bounced", "bób@example.test", "5.6.7")
        return
    world.wait_log("delivered", "bób@example.test")
    arrived(world, "international", 1)


def test_where_tls_breaks_it_goes_in_clear_unless_it_must_not(world):
    """RFC 7435: mail for a server whose TLS fails is sent without TLS, on a second connection; with `encrypt` it waits."""
    send(world, "for clara", BODY, "clara@example.test")
    line, = world.wait_log("delivered", "to=clara@example.test")
    assert ("TLSv1" in line) == world.tls_works and "peer=mail.example.test[192.0.2.2]:25" in line, line
    arrived(world, "for clara", 1)
    if not world.tls_works:
        send(world, "kept back", BODY, "bob@a.example.test")
        line, = world.wait_log("deferred", "to=bob@a.example.test")
        assert "step=tls" in line, line
        assert not [text for text in world.peer.mail() if b"kept back" in text]
