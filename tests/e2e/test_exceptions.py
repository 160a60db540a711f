# SPDX-License-Identifier: Apache-2.0
"""Exceptions in the configuration: mail for a domain is passed on to its own server, for the recipients that
exist there; one device uses an old version of TLS."""
import socket
import ssl

import pytest

from mailboat import PATIENCE, run, smtp
from plain_peer import Peer

INNER = "inner.example"


def relaying(port, recipients):
    return f"relay:\n  domains:\n    - {{domain: {INNER}, {recipients}}}\n  routes:\n    - {{domain: {INNER}, host: localhost, port: {port}}}\n"


@pytest.fixture
def peer():
    it = Peer()
    yield it
    it.close()


def reply_to(client, recipient):
    client.ehlo_or_helo_if_needed()
    client.rset()
    client.mail("sam@there.net")
    return client.rcpt(recipient)


def test_a_domain_is_passed_on_for_its_recipients_alone(mailboat, peer, tmp_path):
    listed = tmp_path / "inner.recipients"
    listed.write_text(f"# of the inner server\nCarl@{INNER}  OK\ndora\n")
    server = mailboat(relay=relaying(peer.port, f"recipients: [bob, Eve@{INNER}], recipients_file: {listed}"))
    server.add_user("ada@example.org", "secret")
    with smtp(server, 25) as client:
        for known in ("bob", "BOB", "bob+tag", "eve", "carl", "dora", "postmaster"):
            assert reply_to(client, f"{known}@{INNER}")[0] == 250, known
        for unknown in ("ghost", "bo", "bobby", "bob+", "+bob", "*"):
            code, text = reply_to(client, f"{unknown}@{INNER}")
            assert (code, b"5.1.1" in text) == ((250, False) if unknown == "bob+" else (550, True)), (unknown, text)
        assert reply_to(client, "bob@sub." + INNER)[0] == 550 and reply_to(client, "bob@elsewhere.example")[0] == 550
        client.rset()
        client.sendmail("sam@there.net", [f"bob@{INNER}", f"Carl@{INNER}"], "Subject: on\r\n\r\nhi\r\n")
    server.wait_log("delivered", count=2)
    assert sorted(peer.got) == [f"Carl@{INNER}", f"bob@{INNER}"]
    with smtp(server, 587, user="ada@example.org", password="secret") as client:
        assert client.mail("ada@example.org")[0] == 250 and client.rcpt(f"ghost@{INNER}")[0] == 550 and client.rcpt(f"dora@{INNER}")[0] == 250
    listed.write_text("dora\nghost\n")
    import signal
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded")
    with smtp(server, 25) as client:
        assert reply_to(client, f"ghost@{INNER}")[0] == 250 and reply_to(client, f"carl@{INNER}")[0] == 550
    shown = server.cli("config", "show").stdout
    assert f"domain: \"{INNER}\"" in shown and str(listed) in shown


@pytest.mark.parametrize("entry, says", [
    ("{domain: inner.example}", "recipients or recipients_file is missing"), ("{domain: inner.example, recipients: []}", "recipients or recipients_file is missing"),
    ("{recipients: [bob]}", "the domain is missing"), ("{domain: example.org, recipients: [bob]}", "under domains too"), ("{domain: inner.example, recipients: [\"*\"]}", "one by one"),
    ("{domain: inner.example, recipients: [bob@other.example]}", "not an address of inner.example"), ("{domain: inner.example, recipients_file: /nowhere/list}", "cannot read /nowhere/list"),
    ("{domain: 192.0.2.1, recipients: [bob]}", "domain is missing"), ("{domain: inner.example, recipients: [bob], host: x}", "host")])
def test_a_source_of_backscatter_is_not_configured(tmp_path, entry, says):
    config = tmp_path / "mailboat.conf"
    config.write_text(f"hostname: mx.example.org\ndata_dir: {tmp_path}/data\ndomains: [example.org]\nrelay:\n  domains:\n    - {entry}\n")
    done = run("config", "show", "--config", config, check=False)
    assert done.returncode == 78 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr


# ---- old versions of TLS ----

def old_handshake(server, port, source, version=ssl.TLSVersion.TLSv1):
    """Returns the negotiated version of a device that supports only this one; None if it is rejected."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", server.ports[port]), PATIENCE, (source, 0)) as plain:
        lines = plain.makefile("rb")
        if port != 465:
            lines.readline()
            plain.sendall(b"EHLO printer\r\n")
            while not lines.readline().startswith(b"250 "):
                continue
            plain.sendall(b"STARTTLS\r\n")
            assert lines.readline().startswith(b"220 ")
        try:
            with context.wrap_socket(plain) as secure:
                return secure.version()
        except (ssl.SSLError, ConnectionError):
            return None


@pytest.fixture
def with_a_printer(mailboat):
    server = mailboat()
    server.stop()
    text = server.config.read_text()
    for port, tls in (587, "starttls"), (465, "implicit"):
        here = f"port: {server.ports[port]}, role: submission, tls: {tls}"
        assert here in text
        text = text.replace(here, here + ", old_tls: [127.0.0.7, 127.0.1.0/28]")
    server.config.write_text(text)
    server.write_config = lambda: None
    return server.start()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_printer_uses_old_tls_and_nobody_else(with_a_printer):
    server = with_a_printer
    for version, name in (ssl.TLSVersion.TLSv1, "TLSv1"), (ssl.TLSVersion.TLSv1_1, "TLSv1.1"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2"):
        for port in (587, 465):
            assert old_handshake(server, port, "127.0.0.7", version) == name
            assert old_handshake(server, port, "127.0.1.15", version) == name
    for port, source in [(587, "127.0.0.1"), (587, "127.0.0.8"), (465, "127.0.1.16"), (2525, "127.0.0.7"), (25, "127.0.0.7")]:
        assert old_handshake(server, port, source) is None, (port, source)
        assert old_handshake(server, port, source, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    server.wait_log("old_tls_allowed", "client=127.0.0.7", f"port={server.ports[587]}", "TLSv1 ")
    server.cli("config", "show")
    assert "old_tls: [127.0.0.7, 127.0.1.0/28]" in server.cli("config", "show").stdout.replace('"', "")


@pytest.mark.parametrize("networks, says", [("[0.0.0.0/0]", "too large"), ("[10.0.0.0/8]", "too large"), ("[\"2001:db8::/32\"]", "too large"), ("[printer]", "old_tls"), ("[192.0.2.1/33]", "old_tls")])
def test_an_exception_is_for_a_few(tmp_path, networks, says):
    config = tmp_path / "mailboat.conf"
    config.write_text(f"hostname: mx.example.org\ndata_dir: {tmp_path}/data\nlisteners:\n  - {{port: 587, old_tls: {networks}}}\n")
    done = run("config", "show", "--config", config, check=False)
    assert done.returncode == 78 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr
