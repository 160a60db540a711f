# SPDX-License-Identifier: Apache-2.0
"""Programs that cannot sign in: submission.trusted, and the hints if it is not set."""
import email
import json
import smtplib
import socket

import pytest

from mailboat import Mailboat
from plain_peer import away_to

USER = "ada@example.org"


@pytest.fixture
def start(tmp_path, certificates):
    running = []

    def it(trusted=None, local="", **options):
        extra = f"submission: {{trusted: {trusted}{local}}}\n" if trusted else ""
        server = Mailboat(tmp_path / "server", certificates, extra=extra, **options).start()
        server.add_user(USER, "secret-of-ada")
        running.append(server)
        return server
    yield it
    for server in running:
        server.stop()


def send(server, to, sender="app@example.org", text="Subject: hi\r\n\r\nhi\r\n"):
    with smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30) as client:
        client.sendmail(sender, [to], text)


def test_nobody_is_trusted_by_default_and_the_reply_names_the_mend(start):
    server = start()
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(server, "bob@elsewhere.example")
    code, text = refused.value.recipients["bob@elsewhere.example"]
    assert code == 550 and b"submission.trusted" in text
    send(server, USER)
    server.wait_log("delivered", f"to={USER}")


def test_a_trusted_program_relays_without_signing_in(start, peer):
    server = start("[127.0.0.0/8]", relay=away_to(peer.port))
    send(server, "bob@elsewhere.example", text="From: app@example.org\nSubject: bare\n\nhi\n")  # without Date, with bare LF
    server.wait_log("accepted", 'account="trusted 127.0.0.1"', "client=127.0.0.1")
    server.wait_log("delivered", "to=bob@elsewhere.example")
    body = peer.messages()[0] if hasattr(peer, "messages") else b""
    assert not body or b"Date:" in body
    send(server, USER)
    server.wait_log("delivered", f"to={USER}")


def test_names_without_a_domain_get_the_hosts(start):
    """As a cron daemon or an init script writes them; from another host they stay malformed."""
    server = start("[127.0.0.1]")
    send(server, "ada", sender="root", text="From: Cron Daemon <root>\nTo: ada\nSubject: bare names\n\nhi\n")
    arrived = email.message_from_bytes(server.arrivals(USER, "bare names")[0])
    assert (arrived["From"], arrived["To"], arrived["Return-Path"]) == ("Cron Daemon <root@example.org>", "ada@example.org", "<root@example.org>")


def test_names_without_a_domain_of_others_are_malformed(start):
    server = start('[192.0.2.0/24]')
    with smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30) as client:
        assert client.docmd("EHLO", "a")[0] == 250 and client.docmd("MAIL", "FROM:<root>")[0] == 501


def test_a_message_that_begins_with_a_space_does_not_continue_our_field(start):
    server = start()
    send(server, USER, text=" for <eve@evil.example>; Mon, 1 Jan 2001 00:00:00 +0000\r\nSubject: continues\r\n\r\nhi\r\n")
    server.wait_log("delivered", f"to={USER}")
    arrived = email.message_from_bytes(server.mail(USER)[0])
    assert "evil.example" not in arrived.as_string().split("\n\n", 1)[0] and "Subject" not in arrived
    assert arrived.get_payload().lstrip().startswith("for <eve@evil.example>")


def test_it_is_limited_and_may_not_be_an_account(start):
    server = start("[127.0.0.1]", local=", local: {messages_per_hour: 3}")
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        send(server, "bob@elsewhere.example", sender=USER)
    assert refused.value.smtp_code == 550
    for _ in range(3):
        send(server, USER)
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        send(server, USER)
    assert refused.value.smtp_code == 450


def test_another_address_is_not_trusted(start):
    server = start('[192.0.2.0/24, "::1"]')
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(server, "bob@elsewhere.example")


def test_what_a_balancer_names_is_never_trusted(tmp_path, certificates):
    server = Mailboat(tmp_path / "server", certificates, extra="submission: {trusted: [127.0.0.0/8, 203.0.113.0/24]}\n")
    server.write_config()
    server.write_config = lambda: server.config.write_text(server.config.read_text().replace(", role: mx", ", proxy: [127.0.0.1], role: mx"))
    server.start()
    try:
        for client in ("127.0.0.1", "203.0.113.5"):
            with socket.create_connection(("127.0.0.1", server.ports[25]), timeout=30) as raw:
                file = raw.makefile("rb")
                raw.sendall(f"PROXY TCP4 {client} {client} 1 25\r\n".encode())
                for line in (None, "HELO x", "MAIL FROM:<a@example.org>", "RCPT TO:<bob@elsewhere.example>"):
                    if line:
                        raw.sendall(line.encode() + b"\r\n")
                    reply = file.readline()
                assert reply.startswith(b"550 5.7.1"), reply
    finally:
        server.stop()


@pytest.mark.parametrize("value", ["[0.0.0.0/0]", '["::/0"]', "[0.0.0.0/1]", "[localhost]", "[10.0.0.1/8]"])
def test_a_list_that_would_open_the_relay(tmp_path, certificates, value):
    server = Mailboat(tmp_path / "server", certificates, extra=f"submission: {{trusted: {value}}}\n")
    server.write_config()
    done = server.cli("config", "check", check=False)
    assert done.returncode == 78 and "submission.trusted" in done.stderr


def test_doctor_and_settings_name_it(start):
    server = start("[127.0.0.1]")
    done = server.cli("doctor", "--target", f"127.0.0.1:{server.ports[25]}", "--ca-file", server.ca, "--json", check=False)
    assert "127.0.0.1" in {item["what"]: item["words"] for item in json.loads(done.stdout)["server"]}["trusted programs"]
    page = server.cli("settings", USER).stdout
    for program in page.rsplit("--for ", 1)[1].strip().split(", "):
        done = server.cli("settings", USER, "--for", program)
        assert "is self-signed (FILE is a copy of it)" in done.stderr, program
    assert "WPMS_MAIL_FROM_FORCE" in server.cli("settings", USER, "--for", "wordpress").stdout
