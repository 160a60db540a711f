# SPDX-License-Identifier: Apache-2.0
"""A client configured for the wrong TLS mode is accepted on every submission port, and the log names it."""
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time

import pytest

from mailboat import PATIENCE, smtp

USER = "ada@example.org"


def letter(subject):
    return f"Subject: {subject}\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


def arrived(server, subject):
    assert len(server.arrivals(USER, subject)) == 1


def told(server, log_from, **fields):
    return server.wait_log("tls_mode_mismatch", *(f"{name}={value}" for name, value in fields.items()), since=log_from)


# ---- implicit TLS on STARTTLS ports ----

@pytest.mark.parametrize("port", [587, 2525])
def test_smtplib_with_ssl(server, port):
    since = len(server.log)
    with smtplib.SMTP_SSL("localhost", server.ports[port], context=ssl.create_default_context(cafile=server.ca), timeout=PATIENCE) as client:
        client.login("ada@example.org", "secret-of-ada")
        client.sendmail("ada@example.org", ["ada@example.org"], letter(f"smtplib with ssl {port}"))
    arrived(server, f"smtplib with ssl {port}")
    told(server, since, port=server.ports[port], client_tls="implicit", account="ada@example.org")


@pytest.mark.parametrize("port", [587, 2525])
def test_curl_smtps(server, port, tmp_path):
    (tmp_path / "letter").write_text(letter(f"curl smtps {port}"))

    done = subprocess.run(["curl", "-sS", "--cacert", server.ca, "--url", f"smtps://localhost:{server.ports[port]}", "--user",
                           "ada@example.org:secret-of-ada", "--mail-from", "ada@example.org", "--mail-rcpt", "ada@example.org",
                           "--upload-file", tmp_path / "letter"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    arrived(server, f"curl smtps {port}")


@pytest.mark.parametrize("port", [587, 2525])
def test_openssl_s_client(server, port):
    done = subprocess.run(["openssl", "s_client", "-quiet", "-connect", f"localhost:{server.ports[port]}", "-CAfile", server.ca, "-verify_return_error"],
                          input="EHLO me.example\r\nQUIT\r\n", capture_output=True, text=True, timeout=PATIENCE)
    assert "250-AUTH" in done.stdout or "250 AUTH" in done.stdout, done.stderr


@pytest.mark.parametrize("port", [587, 2525])
def test_swaks_with_tls_on_connect(server, port):
    done = subprocess.run(["swaks", "--server", "localhost", "--port", str(server.ports[port]), "--tls-on-connect", "--tls-ca-path", str(server.ca),
                           "--auth", "PLAIN", "--auth-user", "ada@example.org", "--auth-password", "secret-of-ada",
                           "--from", "ada@example.org", "--to", "ada@example.org", "--header", f"Subject: swaks with tls on connect {port}"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    arrived(server, f"swaks with tls on connect {port}")


@pytest.mark.parametrize("port", [587, 2525])
def test_php_with_ssl(server, port):
    """PHP reads its CA certificates between connecting and the ClientHello."""
    script = f"""$f = stream_socket_client('ssl://localhost:{server.ports[port]}', $n, $why, {PATIENCE}, STREAM_CLIENT_CONNECT,
        stream_context_create(['ssl' => ['cafile' => '{server.ca}']]));
        if (!$f) exit(1); echo fgets($f);"""
    done = subprocess.run(["php", "-r", script], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.startswith("220 "), done.stdout + done.stderr


def client_hello(server):
    """Returns the first octets of a TLS client, and the state that it needs to continue."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=server.ca).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing, outgoing.read()


def test_a_client_hello_in_pieces(server):
    tls, incoming, outgoing, hello = client_hello(server)
    with socket.create_connection(("localhost", server.ports[587]), PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(hello[:1])
        client.settimeout(0.7)  # longer than TLS detection waits
        with pytest.raises(TimeoutError):  # no plain text greeting
            client.recv(1)
        client.settimeout(PATIENCE)
        client.sendall(hello[1:100])
        client.sendall(hello[100:])
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(client.recv(65536))
        client.sendall(outgoing.read())
        while True:
            try:
                assert tls.read(4) == b"220 "
                break
            except ssl.SSLWantReadError:
                incoming.write(client.recv(65536))


def greeting_ms(server, port):
    started = time.monotonic()
    with smtplib.SMTP("localhost", server.ports[port], timeout=PATIENCE):
        return (time.monotonic() - started) * 1000


def say_hello_late(server, port):
    """Connects as a client that gets a plain text greeting while it still prepares its ClientHello."""
    hello = client_hello(server)[3]
    with socket.create_connection(("localhost", server.ports[port]), PATIENCE) as client:
        assert client.recv(4) == b"220 "
        client.sendall(hello)
        try:
            while client.recv(1000):
                pass
        except ConnectionResetError:  # unread octets remained
            pass


def test_an_address_teaches_how_long_it_is_looked_at(mailboat):
    server = mailboat()
    unknown = [greeting_ms(server, 587) for _ in range(5)]
    patient = [greeting_ms(server, 587) for _ in range(5)]
    assert [ms >= least for ms, least in zip(unknown, (95, 48, 23, 10, 4))] == [True] * 5 and min(patient) < 95
    assert greeting_ms(server, 2525) >= 95  # each port separately
    since = len(server.log)
    say_hello_late(server, 2525)
    server.wait_log("connection_rejected", f"port={server.ports[2525]}", since=since)
    told(server, since, port=server.ports[2525], client_tls="implicit")
    assert greeting_ms(server, 2525) >= 190  # the client came after the 100 ms: twice that time
    with smtplib.SMTP_SSL("localhost", server.ports[2525], context=ssl.create_default_context(cafile=server.ca), timeout=PATIENCE) as client:
        assert client.noop()[0] == 250
    assert min(greeting_ms(server, 587) for _ in range(3)) < 95


def sign_in(server, port=587):
    smtp(server, port, user="ada@example.org", password="secret-of-ada").quit()


def is_looked_at(server):
    """True if each of five clients that teach nothing, since they only wait for it, is greeted late."""
    took_ms = []
    for _ in range(5):
        started = time.monotonic()
        with socket.create_connection(("localhost", server.ports[587]), PATIENCE) as client:
            assert client.recv(4) == b"220 "
        took_ms.append((time.monotonic() - started) * 1000)
    return min(took_ms) >= 95


def test_who_signed_in_is_greeted_at_once_until_one_starts_tls(mailboat):
    server = mailboat()
    server.add_user(USER, "secret-of-ada")
    sign_in(server)
    since = len(server.log)
    assert not is_looked_at(server)
    say_hello_late(server, 587)  # greeted before it could start TLS: lost, and the last one that is
    server.wait_log("connection_rejected", f"port={server.ports[587]}", since=since)
    assert is_looked_at(server)


@pytest.mark.parametrize("client", ["curl", "smtplib", "openssl", "swaks"])
def test_real_clients_in_the_wrong_mode_are_served_once_learnt(mailboat, client):
    """The address had signed in as it should, and was greeted at once; then one program came in the other mode."""
    server = mailboat()
    server.add_user(USER, "secret-of-ada")
    sign_in(server)
    since = len(server.log)
    say_hello_late(server, 587)
    server.wait_log("connection_rejected", f"port={server.ports[587]}", since=since)
    at, auth = f"localhost:{server.ports[587]}", "ada@example.org:secret-of-ada"
    commands = {
        "curl": ["curl", "-sS", "--cacert", server.ca, "--url", f"smtps://{at}", "--user", auth, "-X", "NOOP"],
        "smtplib": [sys.executable, "-c", "import smtplib, ssl, sys; port, ca = sys.argv[1:];"
                    "smtplib.SMTP_SSL('localhost', int(port), context=ssl.create_default_context(cafile=ca)).quit()",
                    str(server.ports[587]), server.ca],
        "openssl": ["openssl", "s_client", "-brief", "-connect", at, "-CAfile", server.ca, "-verify_return_error"],
        "swaks": ["swaks", "--server", at, "--tls-on-connect", "--auth", "PLAIN", "--auth-user", "ada@example.org", "--auth-password",
                  "secret-of-ada", "--quit-after", "AUTH"],
    }
    for _ in range(4):  # on a busy machine it may need longer than it is waited for: then the next wait is longer
        done = subprocess.run(commands[client], input="QUIT\r\n", capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    sign_in(server)  # and the others still are


def test_what_an_address_taught_outlives_the_process_but_not_the_server(mailboat):
    server = mailboat(extra="processes: {smtpd: 2}\n")
    server.add_user(USER, "secret-of-ada")
    sign_in(server)  # in one process
    assert not is_looked_at(server)  # and the other knows
    for pid in server.processes()["smtpd"]:
        os.kill(pid, signal.SIGKILL)
    server.wait_log("process_died", count=2)
    sign_in(server, 465)  # there is a new one
    assert not is_looked_at(server)
    server.stop()
    server.start()
    assert is_looked_at(server)


def test_on_25_nobody_is_looked_at(server):
    assert min(greeting_ms(server, 25) for _ in range(3)) < 50
    since = len(server.log)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        smtplib.SMTP_SSL("localhost", server.ports[25], context=ssl.create_default_context(cafile=server.ca), timeout=PATIENCE)
    server.wait_log("connection_rejected", f"port={server.ports[25]}", since=since)
    assert not server.lines("tls_mode_mismatch", f"port={server.ports[25]}", since=since)


def test_who_is_looked_at_is_told_that_the_server_goes(mailboat):
    server = mailboat(extra="log: {level: debug}\n")
    with socket.create_connection(("localhost", server.ports[587]), PATIENCE) as client:
        server.wait_log("connected", f"port={server.ports[587]}")
        server.process.terminate()
        lines = client.makefile("rb").read()
    assert lines.startswith(b"220 ") and b"\r\n421 4.3.2 " in lines


# ---- plain text on implicit TLS ports ----

def test_smtplib_with_starttls_on_465(server):
    since = len(server.log)
    with smtplib.SMTP("localhost", server.ports[465], timeout=PATIENCE) as client:
        client.starttls(context=ssl.create_default_context(cafile=server.ca))
        client.login("ada@example.org", "secret-of-ada")
        client.sendmail("ada@example.org", ["ada@example.org"], letter("smtplib with starttls on 465"))
    arrived(server, "smtplib with starttls on 465")
    told(server, since, port=server.ports[465], client_tls="starttls", account="ada@example.org")


def test_swaks_with_starttls_on_465(server):
    done = subprocess.run(["swaks", "--server", "localhost", "--port", str(server.ports[465]), "--tls", "--auth", "LOGIN", "--auth-user", "ada@example.org",
                           "--auth-password", "secret-of-ada", "--from", "ada@example.org", "--to", "ada@example.org"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_curl_with_starttls_on_465(server, tmp_path):
    (tmp_path / "letter").write_text(letter("curl with starttls on 465"))
    done = subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", server.ca, "--url", f"smtp://localhost:{server.ports[465]}", "--user",
                           "ada@example.org:secret-of-ada", "--mail-from", "ada@example.org", "--mail-rcpt", "ada@example.org",
                           "--upload-file", tmp_path / "letter"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_on_465_in_clear_only_starttls_leads_on(server):
    with socket.create_connection(("localhost", server.ports[465]), PATIENCE) as client:
        lines = client.makefile("rwb", buffering=0)
        lines.write(b"EHLO me.example\r\n")  # the client speaks first: the server need not wait
        assert lines.readline().startswith(b"220 ")
        features = []
        while not features or features[-1][3:4] == b"-":
            features.append(lines.readline())
        assert any(b"STARTTLS" in f for f in features) and not any(b"AUTH" in f for f in features)
        for command in (b"AUTH PLAIN AGEAYg==", b"MAIL FROM:<ada@example.org>"):
            lines.write(command + b"\r\n")
            reply = lines.readline()
            assert reply.startswith(b"530 5.7.0 ") and b"SSL/TLS" in reply
        lines.write(b"STARTTLS\r\nNOOP\r\n")  # injected after STARTTLS: never executed
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
    assert not server.lines("tls_mode_mismatch", f"port={server.ports[port]}", since=since)


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
