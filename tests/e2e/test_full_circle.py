# SPDX-License-Identifier: Apache-2.0
"""The picture of the README with real servers: Ada's on one host, Bob's on another, DNS between them. Ada
submits a message, her server relays it to Bob's, Bob reads it by IMAP and POP3 and replies, and the reply
arrives; also with blocked ports."""
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from mailboat import PROGRAM, Mailboat, make_certificate, until
from networks import networks

ADA, BOB, PASSWORD = "ada@a.example.test", "bob@b.example.test", "secret-of-both"
ZONE = """$ORIGIN example.test.
$TTL 60
@ IN SOA ns.example.test. root.example.test. 1 60 60 60 60
@ IN NS ns
ns IN A 192.0.2.2
a IN MX 10 mx.a
b IN MX 10 mx.b
mx.a IN A 192.0.2.1
mx.b IN A 192.0.2.2
"""
pytestmark = pytest.mark.skipif(shutil.which("dovecot", path="/usr/sbin:/usr/bin") is None, reason="Dovecot is not installed")


def certificate(folder, ca, host):
    """Makes a certificate of the tests' CA for this host."""
    make_certificate(ca, folder, host, host)
    return folder / f"{host}.pem", folder / f"{host}.key"


def server(net, folder, ca, where, domain, more=""):
    made = Mailboat(folder, ca, address="0.0.0.0", domains=(domain,), wrapper=["ip", "netns", "exec", where])
    made.ports = {port: port for port in made.ports}
    made.host = f"mx.{domain}"
    certificate_file, key = certificate(folder, ca, made.host)
    made.write_config = lambda: made.config.write_text(
        f"hostname: {made.host}\ndata_dir: {made.data}\ndomains: [{domain}]\ntls: {{certificate: {certificate_file}, key: {key}}}\n"
        f"mailboxes: {{deliver: lmtp, lmtp: \"unix:{folder}/lmtp\"}}\n{more}")
    return made


@pytest.fixture(scope="module")
def circle(tmp_path_factory, certificates):
    """Returns (net, Ada's server, Bob's server), each with its Dovecot."""
    folder = tmp_path_factory.mktemp("c")
    password = folder / "password"
    password.write_text(PASSWORD + "\n")
    with networks(folder / "nets") as net:
        net.change_zone(ZONE)
        net.run("nft", "-f", "-", where=net.client, input="add table inet mail\nadd chain inet mail input { type filter hook input priority 0; }\n"
                "add chain inet mail output { type filter hook output priority 0; }\n", check=True)
        net.ca = certificates / "ca.pem"
        ada = server(net, folder / "a", certificates, net.client, "a.example.test",
                     f"relay:\n  via: auto\n  ca_file: {certificates}/ca.pem\n"
                     f"  smarthost: {{host: mx.b.example.test, port: auto, user: relay@b.example.test, password_file: {password}}}\n")
        bob = server(net, folder / "b", certificates, net.server, "b.example.test",
                     f"relay: {{ca_file: {certificates}/ca.pem}}\nsubmission: {{send_as: [\"relay@b.example.test *@a.example.test\"]}}\n")
        readers = []
        try:
            for it, user in ((ada, ADA), (bob, BOB)):
                it.start()
                it.add_user(user, PASSWORD)
                it.cli("mailboxes", "setup")
                where = it.wrapper[-1]
                readers.append(subprocess.Popen(["ip", "netns", "exec", where, "/usr/sbin/dovecot", "-F", "-c", it.data / "dovecot/dovecot.conf"], start_new_session=True))
                net.wait_port(993, where=where, address="127.0.0.1")
            bob.add_user("relay@b.example.test", PASSWORD)
            yield net, ada, bob
        finally:
            ada.stop()
            bob.stop()
            for reader in readers:
                os.killpg(reader.pid, signal.SIGKILL)
                reader.wait()


@pytest.fixture(autouse=True)
def open_again(circle):
    yield
    net = circle[0]
    net.run("nft", "flush chain inet mail input; flush chain inet mail output", where=net.client, check=True)


def close(net, chain, *ports):
    for port in ports:
        net.run("nft", f"add rule inet mail {chain} tcp dport {port} drop", where=net.client, check=True)


def send(net, it, sender, to, subject, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    done = net.run(PROGRAM, "send", "--host", it.host, "--user", sender, "--password-file", secret, "--ca-file", net.ca, "--fresh", "--from", sender, "--to", to,
                   "--subject", subject, "--body", "hello there", where=it.wrapper[-1])
    assert done.returncode == 0, done.stderr
    return done.stderr


IMAP = """
    import imaplib, ssl, sys
    host, user, password, ca, subject = sys.argv[1:]
    client = imaplib.IMAP4_SSL(host, ssl_context=ssl.create_default_context(cafile=ca), timeout=30)
    client.login(user, password)
    client.select("INBOX", readonly=True)
    print(len(client.search(None, "SUBJECT", '"' + subject + '"')[1][0].split()))
    client.logout()
"""
POP3 = """
    import poplib, ssl, sys
    host, user, password, ca, subject = sys.argv[1:]
    client = poplib.POP3_SSL(host, context=ssl.create_default_context(cafile=ca), timeout=30)
    client.user(user)
    client.pass_(password)
    texts = [b"\\n".join(client.retr(i + 1)[1]) for i in range(client.stat()[0])]
    print(sum(b"Subject: " + subject.encode() in text for text in texts))
    client.quit()
"""


def reads(net, it, user, subject, program=IMAP):
    """Returns how many messages of that subject the user sees, from the other host."""
    other = net.server if it.wrapper[-1] == net.client else net.client
    done = net.run(sys.executable, "-c", textwrap.dedent(program), it.host, user, PASSWORD, net.ca, subject, where=other)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def goes_round(circle, tmp_path, subject):
    """Sends from Ada to Bob and back; returns what `send` printed about the port."""
    net, ada, bob = circle
    said = send(net, ada, ADA, BOB, subject, tmp_path)
    until(lambda: reads(net, bob, BOB, subject) == 1)
    assert reads(net, bob, BOB, subject) == 1 and reads(net, bob, BOB, subject, POP3) == 1
    send(net, bob, BOB, ADA, "Re: " + subject, tmp_path)
    until(lambda: reads(net, ada, ADA, "Re: " + subject) == 1)
    assert reads(net, ada, ADA, "Re: " + subject) == 1 and not ada.lines("bounced") and not bob.lines("bounced")
    return said


def test_a_letter_and_its_answer(circle, tmp_path):
    net, ada, bob = circle
    assert "587" in goes_round(circle, tmp_path, "open")
    assert ada.lines("delivered", f"to={BOB}", "peer=mx.b.example.test[192.0.2.2]:25")
    assert bob.lines("delivered", f"to={ADA}", "peer=mx.a.example.test[192.0.2.1]:25")


def test_with_587_blocked_it_goes_by_2525(circle, tmp_path):
    close(circle[0], "input", 587)
    assert "2525" in goes_round(circle, tmp_path, "without 587")


def test_with_2525_blocked_too_it_goes_by_465(circle, tmp_path):
    close(circle[0], "input", 587, 2525)
    assert "465" in goes_round(circle, tmp_path, "without 587 and 2525")


def test_with_25_blocked_out_of_her_host_it_goes_by_the_smarthost(circle, tmp_path):
    net, ada, _ = circle
    ada.stop()
    ada.start()
    close(net, "output", 25)
    goes_round(circle, tmp_path, "without 25")
    assert ada.lines("delivered", f"to={BOB}", "peer=mx.b.example.test[192.0.2.2]:587")
