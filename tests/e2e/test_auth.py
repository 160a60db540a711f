# SPDX-License-Identifier: Apache-2.0
"""Signing in: SCRAM with clients of others, channel binding, guessing."""
import base64
import hashlib
import hmac
import os
import smtplib
import sqlite3
import subprocess

import pytest

from mailboat import smtp

USER, PASSWORD = "ada@example.org", "secret-of-ada"


def b64(octets):
    return base64.b64encode(octets).decode()


class Scram:
    """The client's side of RFC 5802, by hand."""

    def __init__(self, user, password, binding=b"", binding_name=None, flag="n"):
        self.password, self.binding = password, binding
        self.header = f"p={binding_name},," if binding_name else f"{flag},,"
        self.bare = f"n={user},r={b64(os.urandom(12))}"
        self.mechanism = "SCRAM-SHA-256-PLUS" if binding_name else "SCRAM-SHA-256"
        self.server_first = None

    def first(self):
        return (self.header + self.bare).encode()

    def final(self, challenge):
        self.server_first = challenge.decode()
        fields = dict(part.split("=", 1) for part in self.server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        unproved = f"c={b64(self.header.encode() + self.binding)},r={fields['r']}"
        message = ",".join([self.bare, self.server_first, unproved]).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        self.expected = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256"))
        return f"{unproved},p={b64(bytes(a ^ b for a, b in zip(client_key, signature)))}".encode()


def sign_in(client, scram):
    """The last reply; the server's signature is checked where there is one."""
    client.ehlo_or_helo_if_needed()
    code, text = client.docmd("AUTH", f"{scram.mechanism} {b64(scram.first())}")
    if code != 334:
        return code, text
    code, text = client.docmd(b64(scram.final(base64.b64decode(text))))
    if code != 334:
        return code, text
    assert base64.b64decode(text) == scram.expected
    return client.docmd("")


def end_point(client):
    """tls-server-end-point of RFC 5929: the tests' certificates are signed with SHA-256."""
    return hashlib.sha256(client.sock.getpeercert(True)).digest()


def gsasl(server, *arguments, password=PASSWORD):
    # The tool knows only sockets that begin in clear: 587 with STARTTLS.
    return subprocess.run(["gsasl", "--smtp", "--connect", f"127.0.0.1:{server.ports[587]}", "--starttls", "--x509-ca-file", str(server.ca),
                           "--hostname", "localhost", "--authentication-id", USER, "--password", password, *arguments],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("port", [587, 465, 2525])
def test_client_scram_by_hand(shared_server, port):
    with smtp(shared_server, port) as client:
        assert sign_in(client, Scram(USER, PASSWORD))[0] == 235
        assert client.docmd("MAIL", f"FROM:<{USER}>")[0] == 250
    with smtp(shared_server, port) as client:
        assert sign_in(client, Scram(USER, PASSWORD, end_point(client), "tls-server-end-point"))[0] == 235


def test_client_gsasl(shared_server):
    since = len(shared_server.log)
    for mechanism in ("SCRAM-SHA-256-PLUS", "PLAIN", "LOGIN"):
        done = gsasl(shared_server, "--mechanism", mechanism)
        assert done.returncode == 0 and "235 2.7.0" in done.stdout, f"{mechanism}\n{done.stdout}{done.stderr}"
    done = gsasl(shared_server, "--mechanism", "SCRAM-SHA-256", "--no-cb")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not shared_server.lines("auth_failed", since=since)
    done = gsasl(shared_server, "--mechanism", "SCRAM-SHA-256-PLUS", password="wrong")
    assert done.returncode != 0 and "535" in done.stdout + done.stderr


def test_wrong_channel_binding_is_refused(shared_server):
    with smtp(shared_server, 465) as client:
        code, text = sign_in(client, Scram(USER, PASSWORD, bytes(32), "tls-server-end-point"))
        assert code == 535 and b"channel binding does not match" in text
        assert sign_in(client, Scram(USER, PASSWORD, end_point(client), "tls-unique"))[0] == 535
        code, text = sign_in(client, Scram(USER, PASSWORD, flag="y"))  # somebody took -PLUS out of the list
        assert code == 535 and b"hides it" in text
        assert client.docmd("MAIL", f"FROM:<{USER}>")[0] == 530


def test_unknown_and_wrong_look_the_same(shared_server):
    salts, replies = {}, {}
    for _ in range(2):
        for user in (USER, "nobody@example.org", "not-an-address"):
            with smtp(shared_server, 465) as client:
                scram = Scram(user, "wrong")
                replies.setdefault(user, set()).add(sign_in(client, scram))
                fields = dict(part.split("=", 1) for part in scram.server_first.split(","))
                salts.setdefault(user, set()).add((fields["s"], fields["i"]))
    assert all(len(found) == 1 for found in salts.values()), "the salt of a name is stable"
    assert len({s for found in salts.values() for s, _ in found}) == 3 and len({i for found in salts.values() for _, i in found}) == 1
    assert len({len(base64.b64decode(s)) for found in salts.values() for s, _ in found}) == 1
    assert len(set.union(*replies.values())) == 1 and replies[USER].pop()[0] == 535


def test_keys_and_new_passwords_work_with_scram(mailboat):
    server = mailboat()
    server.add_user(USER, "the first")
    key = server.cli("key", "add", USER).stdout.strip()
    server.cli("user", "passwd", USER, "--password-stdin", text_input="the second\n")
    for password, code in ((key, 235), ("the second", 235), ("the first", 535)):
        with smtp(server, 465) as client:
            assert sign_in(client, Scram(USER, password))[0] == code
    server.cli("user", "disable", USER)
    with smtp(server, 465) as client:
        assert sign_in(client, Scram(USER, key))[0] == 535


def test_accounts_of_before_scram_learn_it_when_they_sign_in(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    key = server.cli("key", "add", USER).stdout.strip()
    server.stop()
    with sqlite3.connect(server.data / "accounts.db") as db:  # as version 1 left it
        db.executescript("ALTER TABLE user DROP COLUMN scram; ALTER TABLE key DROP COLUMN scram; DROP TABLE secret; PRAGMA user_version = 1;")
    server.start()
    with smtp(server, 465) as client:
        assert sign_in(client, Scram(USER, PASSWORD))[0] == 535
    for password in (PASSWORD, key):
        with smtp(server, 465, user=USER, password=password):
            pass
    server.wait_log("scram_ready", USER, count=2)
    for password in (PASSWORD, key):
        with smtp(server, 465) as client:
            assert sign_in(client, Scram(USER, password))[0] == 235


def guess(server, user, password, source=None):
    """The code that AUTH PLAIN gets."""
    import ssl
    context = ssl.create_default_context(cafile=server.ca)
    with smtplib.SMTP_SSL("localhost", server.ports[465], context=context, source_address=source, timeout=30) as client:
        client.ehlo()
        return client.docmd("AUTH", "PLAIN " + b64(f"\0{user}\0{password}".encode()))[0]
