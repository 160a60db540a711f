# SPDX-License-Identifier: Apache-2.0
"""A client that was told the wrong TLS mode gets through on every submission
port, and an operator can tell who it was."""
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from mailboat import PATIENCE, smtp

LETTER = "Subject: the other way round\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


def arrived(server, log_from):
    return server.wait_log("delivered", "to=ada@example.org", since=log_from)


def told(server, log_from, **fields):
    return server.wait_log("tls_other_way", *(f"{name}={value}" for name, value in fields.items()), since=log_from)


# ---- TLS from the first byte where STARTTLS is the custom ----

@pytest.mark.parametrize("port", [587, 2525])
def test_smtplib_with_ssl(server, port):
    since = len(server.log)
    with smtplib.SMTP_SSL("localhost", server.ports[port], context=ssl.create_default_context(cafile=server.ca), timeout=PATIENCE) as client:
        client.login("ada@example.org", "secret-of-ada")
        client.sendmail("ada@example.org", ["ada@example.org"], LETTER)
    arrived(server, since)
    told(server, since, port=server.ports[port], began="tls", account="ada@example.org")


@pytest.mark.parametrize("port", [587, 2525])
def test_curl_smtps(server, port, tmp_path):
    since = len(server.log)
    (tmp_path / "letter").write_text(LETTER)

    def curl():
        return subprocess.run(["curl", "-sS", "--cacert", server.ca, "--url", f"smtps://localhost:{server.ports[port]}", "--user",
                               "ada@example.org:secret-of-ada", "--mail-from", "ada@example.org", "--mail-rcpt", "ada@example.org",
                               "--upload-file", tmp_path / "letter"], capture_output=True, text=True, timeout=PATIENCE)
    done = curl()
    if done.returncode != 0:  # it loads its certificates first; the second time it is waited for
        done = curl()
    assert done.returncode == 0, done.stderr
    arrived(server, since)


@pytest.mark.parametrize("port", [587, 2525])
def test_openssl_s_client(server, port):
    def call():
        return subprocess.run(["openssl", "s_client", "-quiet", "-connect", f"localhost:{server.ports[port]}", "-CAfile", server.ca, "-verify_return_error"],
                              input="EHLO me.example\r\nQUIT\r\n", capture_output=True, text=True, timeout=PATIENCE)
    done = call()
    if "AUTH" not in done.stdout:
        done = call()
    assert "250-AUTH" in done.stdout or "250 AUTH" in done.stdout, done.stderr


@pytest.mark.parametrize("port", [587, 2525])
def test_swaks_with_tls_on_connect(server, port):
    since = len(server.log)

    def call():
        return subprocess.run(["swaks", "--server", "localhost", "--port", str(server.ports[port]), "--tls-on-connect", "--tls-ca-path", str(server.ca),
                               "--auth", "PLAIN", "--auth-user", "ada@example.org", "--auth-password", "secret-of-ada",
                               "--from", "ada@example.org", "--to", "ada@example.org"], capture_output=True, text=True, timeout=PATIENCE)
    done = call()
    if done.returncode != 0:
        done = call()
    assert done.returncode == 0, done.stdout + done.stderr
    arrived(server, since)


# ---- clear text where TLS comes first ----

def test_smtplib_with_starttls_on_465(server):
    since = len(server.log)
    with smtplib.SMTP("localhost", server.ports[465], timeout=PATIENCE) as client:
        client.starttls(context=ssl.create_default_context(cafile=server.ca))
        client.login("ada@example.org", "secret-of-ada")
        client.sendmail("ada@example.org", ["ada@example.org"], LETTER)
    arrived(server, since)
    told(server, since, port=server.ports[465], began="clear", account="ada@example.org")


def test_swaks_with_starttls_on_465(server):
    done = subprocess.run(["swaks", "--server", "localhost", "--port", str(server.ports[465]), "--tls", "--auth", "LOGIN", "--auth-user", "ada@example.org",
                           "--auth-password", "secret-of-ada", "--from", "ada@example.org", "--to", "ada@example.org"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_curl_with_starttls_on_465(server, tmp_path):
    (tmp_path / "letter").write_text(LETTER)
    done = subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", server.ca, "--url", f"smtp://localhost:{server.ports[465]}", "--user",
                           "ada@example.org:secret-of-ada", "--mail-from", "ada@example.org", "--mail-rcpt", "ada@example.org",
                           "--upload-file", tmp_path / "letter"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_on_465_in_clear_only_starttls_leads_on(server):
    with socket.create_connection(("localhost", server.ports[465]), PATIENCE) as client:
        lines = client.makefile("rwb", buffering=0)
        lines.write(b"EHLO me.example\r\n")  # it speaks first: no need to wait for it
        assert lines.readline().startswith(b"220 ")
        features = []
        while not features or features[-1][3:4] == b"-":
            features.append(lines.readline())
        assert any(b"STARTTLS" in f for f in features) and not any(b"AUTH" in f for f in features)
        for command in (b"AUTH PLAIN AGEAYg==", b"MAIL FROM:<ada@example.org>"):
            lines.write(command + b"\r\n")
            reply = lines.readline()
            assert reply.startswith(b"530 5.7.0 ") and b"SSL/TLS" in reply
        lines.write(b"STARTTLS\r\nNOOP\r\n")  # injected behind STARTTLS: never carried out
        assert lines.readline().startswith(b"220 ")
        context = ssl.create_default_context(cafile=server.ca)
        with context.wrap_socket(client, server_hostname="localhost") as secured:
            secured.sendall(b"NOOP\r\n")
            assert secured.recv(100).count(b"\r\n") == 1


# ---- ordinary clients, hostile ones ----

@pytest.mark.parametrize("port", [25, 587, 2525, 465])
def test_ordinary_clients_are_not_told_of(server, port):
    since = len(server.log)
    for _ in range(5):
        if port == 25:
            smtp(server, port, starttls=False).quit()
        else:
            smtp(server, port, user="ada@example.org", password="secret-of-ada").quit()
    assert not server.lines("tls_other_way", f"port={server.ports[port]}", since=since)


def test_beginnings_that_lead_nowhere_are_bounded(mailboat):
    server = mailboat()
    for port, beginning in ((587, b"\x16"), (465, b"\x16\x03"), (2525, b"\x16\x03\x01\x00"), (587, b"\x00"), (465, b"\xff\xff\xff"), (587, b"")):
        client = socket.create_connection(("localhost", server.ports[port]), PATIENCE)
        client.sendall(beginning)
        client.close()
    silent = [socket.create_connection(("localhost", server.ports[465]), PATIENCE) for _ in range(300)]
    pids = server.processes()["smtpd"]
    before = sum(int(open(f"/proc/{pid}/stat").read().split()[13]) for pid in pids)
    time.sleep(1)
    assert sum(int(open(f"/proc/{pid}/stat").read().split()[13]) for pid in pids) - before < 50  # hundredths of a second: they sleep
    for client in silent:
        client.close()
    with smtp(server, 465) as client:
        assert client.noop()[0] == 250


def test_it_can_be_turned_off(mailboat, tmp_path, certificates):
    server = mailboat()
    server.stop()
    server.extra = "log: {level: debug}\n"
    server.write_config()
    text = server.config.read_text().replace("tls:\n", "tls:\n  either_way: false\n", 1)
    server.write_config = lambda: server.config.write_text(text)
    server.start()
    with pytest.raises(ssl.SSLError):
        smtplib.SMTP_SSL("localhost", server.ports[587], context=ssl.create_default_context(cafile=server.ca), timeout=PATIENCE)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError, TimeoutError)):
        smtplib.SMTP("localhost", server.ports[465], timeout=1)
    assert server.cli("config", "show").stdout.count("either_way: false") == 1
