# SPDX-License-Identifier: Apache-2.0
"""The policy of each of the four ports: what it allows, and the code, text and hint with which it rejects the
rest immediately."""
import smtplib
import socket
import time

import pytest

from mailboat import smtp

USER, PASSWORD = "ada@example.org", "secret-of-ada"


def plain(server, port):
    return smtplib.SMTP(server.address, server.ports[port], timeout=10)


def test_25_never_offers_auth_nor_relays(shared_server):
    with smtp(shared_server, 25) as client:
        client.ehlo()
        assert not client.has_extn("auth") and client.has_extn("pipelining") and client.has_extn("chunking")
        code, text = client.docmd("AUTH", "PLAIN AGEAYg==")
        assert code in (502, 503, 530) and b"587" in text
        client.mail("someone@elsewhere.net")
        for foreign in ("bob@elsewhere.net", "bob%elsewhere.net@other.org", "@example.org:bob@elsewhere.net", '"bob@elsewhere.net"@other.org'):
            code, text = client.rcpt(foreign)
            assert code == 550 and b"5.7.1" in text and b"587" in text and b"2525" in text and b"465" in text, foreign
        for local_trick in ("bob%elsewhere.net@example.org", '"bob@elsewhere.net"@example.org', "elsewhere.net!bob@example.org"):
            code, text = client.rcpt(local_trick)
            assert code == 550 and b"5.1.1" in text, local_trick
        assert client.rcpt("postmaster@example.org")[0] == 250
        assert client.docmd("RCPT", "TO:<postmaster>")[0] == 250
        assert client.rcpt("ADA+news@EXAMPLE.org")[0] == 250


@pytest.mark.parametrize("port", [587, 2525])
def test_submission_does_nothing_before_tls_and_auth(shared_server, port):
    with plain(shared_server, port) as client:
        client.ehlo()
        assert not client.has_extn("auth") and client.has_extn("starttls")
        for command in ("AUTH PLAIN AGEAYg==", f"MAIL FROM:<{USER}>", "VRFY ada", "DATA", "BDAT 3 LAST"):
            code, text = client.docmd(command)
            if command.startswith("BDAT"):
                client.send("abc")
            assert code == 530 and b"STARTTLS" in text, (command, code, text)
    with smtp(shared_server, port) as client:
        client.ehlo()
        assert client.has_extn("auth")
        code, text = client.mail(USER)
        assert code == 530 and b"5.7.0" in text


def test_465_speaks_tls_at_once_and_wants_auth(shared_server):
    with smtp(shared_server, 465) as client:
        client.ehlo()
        assert client.has_extn("auth") and not client.has_extn("starttls")
        assert client.mail(USER)[0] == 530


@pytest.mark.parametrize("port", [587, 465, 2525])
def test_an_account_sends_as_itself_only(shared_server, port):
    with smtp(shared_server, port, user=USER, password=PASSWORD) as client:
        code, text = client.mail("ceo@example.org")
        assert code == 550 and b"5.7.1" in text and b"ada@example.org" in text
        assert client.mail("ada+shop@example.org")[0] == 250


def test_a_refusal_on_25_comes_in_milliseconds(shared_server):
    took = []
    for _ in range(5):
        started = time.monotonic()
        with plain(shared_server, 25) as client:
            client.ehlo()
            assert client.docmd("AUTH", "LOGIN")[0] >= 500
        took.append(time.monotonic() - started)
    assert sorted(took)[2] < 0.5  # generous: an order of magnitude, not a figure


def test_ipv6(mailboat):
    server = mailboat(address="::1")
    server.add_user(USER, PASSWORD)
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(USER, [USER], "Subject: six\r\n\r\nby IPv6\r\n")
    server.wait_log("delivered", f"to={USER}")
    assert b"[IPv6:::1]" in server.mail(USER)[0]


def read_reply(stream):
    text = b""
    while True:
        line = stream.readline()
        text += line
        if len(line) < 4 or line[3:4] != b"-":
            return text


def test_what_is_sent_behind_starttls_is_never_executed(shared_server):
    with socket.create_connection((shared_server.address, shared_server.ports[587]), 10) as raw:
        stream = raw.makefile("rb")
        read_reply(stream)
        raw.sendall(b"EHLO a\r\n")
        read_reply(stream)
        raw.sendall(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
        assert read_reply(stream).startswith(b"220")
        raw.settimeout(1)
        with pytest.raises((TimeoutError, AssertionError)):
            assert read_reply(stream) == b"never answered in clear"


def test_bare_newlines_are_refused_and_never_end_the_message(shared_server):
    for smuggled in (b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n"):
        with smtp(shared_server, 25) as client:
            client.ehlo()
            client.mail("a@elsewhere.net")
            client.rcpt(USER)
            client.docmd("DATA")
            client.send(b"Subject: x\r\n\r\nfirst" + smuggled + b"MAIL FROM:<evil@elsewhere.net>\r\n.\r\n")
            code, text = client.getreply()
            assert code == 550 and b"5.6.0" in text, smuggled
            assert client.getreply()[0] == 421  # no further command is read
