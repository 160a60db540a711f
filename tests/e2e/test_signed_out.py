# SPDX-License-Identifier: Apache-2.0
"""A change of an account ends its open sessions, by password, application password and SCRAM, on each
port."""
import os
import signal
import smtplib
import socket
import time

import pytest

from mailboat import smtp, until
from test_auth import PASSWORD, USER, Scram, sign_in
from test_web import ADA, Web, mail_context

SIGNED_OUT = b"Credentials changed or revoked; closing connection"
MESSAGE = f"From: {USER}\r\nSubject: x\r\n\r\nhi\r\n"


def heard(client, seconds=10):
    """Returns the server's unsolicited reply, within a timeout."""
    client.sock.settimeout(seconds)
    try:
        return client.getreply()
    except (socket.timeout, smtplib.SMTPServerDisconnected):
        return None, b""
    finally:
        if client.sock is not None:
            client.sock.settimeout(30)


def ended(client):
    code, text = heard(client)
    return code == 421 and SIGNED_OUT in text


def goes_on(client):
    return client.docmd("MAIL", f"FROM:<{USER}>")[0] == 250 and client.docmd("RSET")[0] == 250


def begin_data(client, sender=USER):
    assert client.docmd("MAIL", f"FROM:<{sender}>")[0] == 250 and client.docmd("RCPT", "TO:<bob@elsewhere.invalid>")[0] == 250
    assert client.docmd("DATA")[0] == 354
    client.send(f"From: {sender}\r\nSubject: x\r\n\r\nhalf of it\r\n")


@pytest.fixture
def server(mailboat):
    server = mailboat(extra="queue: {hold: true}\n")
    server.add_user(USER, PASSWORD)
    server.add_user("bob@example.org", "secret-of-bob")
    return server


def change(server, what):
    if what == "passwd":
        server.cli("user", "passwd", USER, "--password-stdin", text_input="another\n")
    elif what == "the same passwd":
        server.cli("user", "passwd", USER, "--password-stdin", text_input=PASSWORD + "\n")
    elif what == "domain":
        server.cli("domain", "remove", "new.example")
    else:
        server.cli("user", what, USER)


@pytest.mark.parametrize("what", ["disable", "remove", "passwd", "the same passwd"])
def test_sessions_end_within_a_second_on_each_port(server, what):
    clients = {port: smtp(server, port, user=USER, password=PASSWORD) for port in (587, 465, 2525)}
    clients["scram"] = smtp(server, 465)
    assert sign_in(clients["scram"], Scram(USER, PASSWORD))[0] == 235
    bob = smtp(server, 587, user="bob@example.org", password="secret-of-bob")
    change(server, what)
    for name, client in clients.items():
        assert ended(client), name
    server.wait_log("signed_out", f"account={USER}", count=4)
    assert bob.docmd("MAIL", "FROM:<bob@example.org>")[0] == 250
    bob.close()


@pytest.mark.parametrize("what", ["disable", "remove", "passwd"])
def test_the_next_message_is_refused_at_once(server, what):
    """Without waiting until the server has noticed the change."""
    clients = [smtp(server, 587, user=USER, password=PASSWORD) for _ in range(4)]
    change(server, what)
    for client in clients:
        try:
            code, text = client.docmd("MAIL", f"FROM:<{USER}>")
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            continue
        assert code == 421 and SIGNED_OUT in text


@pytest.mark.parametrize("what", ["disable", "remove", "passwd"])
@pytest.mark.parametrize("size", [10, 100000])
def test_a_message_that_is_under_way_is_refused_at_its_end(server, what, size):
    late, soon = smtp(server, 587, user=USER, password=PASSWORD), smtp(server, 465, user=USER, password=PASSWORD)
    begin_data(late)
    begin_data(soon)
    change(server, what)
    soon.send("y" * 70 + "\r\n.\r\n")  # the change was a moment ago
    until(lambda: server.lines("signed_out"))
    late.send(("z" * 70 + "\r\n") * (size // 72) + ".\r\n")
    for client in (soon, late):
        code, text = heard(client)
        assert code == 451 and text.startswith(b"4.7.0") and b"authenticate again and resend" in text
        assert ended(client)
    assert not server.lines("accepted")


def test_keys_and_passwords_end_apart(server):
    keys = [server.cli("key", "add", USER, "--name", name).stdout.strip() for name in ("one", "two")]
    ids = [key.split("_")[1] for key in keys]
    by_password, by_one, by_two = (smtp(server, 465, user=USER, password=secret) for secret in (PASSWORD, *keys))
    by_scram = smtp(server, 587)
    assert sign_in(by_scram, Scram(USER, keys[0]))[0] == 235
    server.cli("key", "revoke", ids[0])
    assert ended(by_one) and ended(by_scram)
    assert goes_on(by_password) and goes_on(by_two)
    change(server, "passwd")
    assert ended(by_password)
    assert goes_on(by_two)
    change(server, "disable")
    assert ended(by_two)


def test_an_account_whose_domain_is_gone_neither_signs_in_nor_sends(server):
    server.cli("domain", "add", "new.example")
    server.add_user("carl@new.example", "secret-of-carl")
    carl, ada = smtp(server, 587, user="carl@new.example", password="secret-of-carl"), smtp(server, 587, user=USER, password=PASSWORD)
    change(server, "domain")
    assert ended(carl) and goes_on(ada)
    with smtp(server, 587) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("carl@new.example", "secret-of-carl")
    server.cli("domain", "add", "new.example")
    assert smtp(server, 587, user="carl@new.example", password="secret-of-carl").docmd("MAIL", "FROM:<carl@new.example>")[0] == 250


def test_a_right_to_an_address_ends_too(server):
    server.cli("alias", "add", "sales@example.org", USER)
    client = smtp(server, 587, user=USER, password=PASSWORD)
    begin_data(client, "sales@example.org")
    server.cli("alias", "remove", "sales@example.org")
    client.send(".\r\n")
    code, text = client.getreply()
    assert code == 550 and b"user ada@example.org may no longer send as sales@example.org" in text
    assert client.docmd("MAIL", "FROM:<sales@example.org>")[0] == 550
    assert goes_on(client) and not server.lines("accepted")


def test_what_changes_for_others_ends_nothing(server):
    clients = [smtp(server, port, user=USER, password=PASSWORD) for port in (587, 465, 2525) for _ in range(5)]
    for n in range(5):
        server.add_user(f"u{n}@example.org", "secret")
    server.cli("user", "disable", "bob@example.org")
    time.sleep(1.5)  # no reply must come
    assert all(goes_on(client) for client in clients) and not server.lines("signed_out")
    clients[0].sendmail(USER, [USER], MESSAGE)


def test_it_ends_while_auth_is_restarted(server):
    client = smtp(server, 465, user=USER, password=PASSWORD)
    first, = server.processes()["auth"]
    os.kill(first, signal.SIGKILL)
    change(server, "disable")
    code, text = heard(client)
    assert code == 421 and SIGNED_OUT in text


def test_sessions_of_a_process_that_is_drained_end_too(server):
    """A reload that removes the domain changes no account; the old smtpd queries auth each time."""
    server.cli("domain", "add", "other.example")
    client = smtp(server, 465, user=USER, password=PASSWORD)
    server.domains = ["other.example"]
    server.write_config()
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded")

    def is_out():
        code, text = client.docmd("MAIL", f"FROM:<{USER}>")
        if code == 250:
            client.docmd("RSET")
            time.sleep(0.3)  # a session may send 200 commands
        return code == 421 and SIGNED_OUT in text
    until(is_out)
    server.wait_log("signed_out", f"account={USER}")


def test_sessions_behind_the_webs_port_end_too(mailboat, certificates):
    web = Web(mailboat, certificates)
    with smtplib.SMTP_SSL("localhost", web.tls_port, context=mail_context(web, "smtp"), timeout=30) as client:
        client.login(ADA, "secret-of-ada")
        web.server.cli("user", "disable", ADA)
        assert ended(client)
