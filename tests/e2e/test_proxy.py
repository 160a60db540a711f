# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol: behind a load balancer the client's address is known before the greeting, and before
TLS on 465."""
import contextlib
import shutil
import smtplib
import socket
import ssl
import struct
import subprocess

import pytest

from mailboat import Mailboat, free_port, until

USER, PASSWORD = "ada@example.org", "secret-of-ada"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Proxied(Mailboat):
    """A server whose listeners are all behind the load balancers of `proxy`."""
    proxy = "127.0.0.1"

    def write_config(self):
        super().write_config()
        if self.proxy:
            self.config.write_text(self.config.read_text().replace(", role:", f", proxy: [{self.proxy}], role:"))


@pytest.fixture
def server(tmp_path, certificates):
    server = Proxied(tmp_path / "server", certificates, limits="log: {level: debug}\n").start()
    server.add_user(USER, PASSWORD)
    yield server
    server.stop()


def v1(client, family="TCP4"):
    return f"PROXY {family} {client} {client} 40000 25\r\n".encode()


def v2(client, tail=b""):
    six = ":" in client
    packed = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, client)
    addresses = packed + packed + struct.pack("!HH", 40000, 25) + tail
    return SIGNATURE + bytes([0x21, 0x21 if six else 0x11]) + struct.pack("!H", len(addresses)) + addresses


LOCAL = SIGNATURE + b"\x20\0\0\0"


@contextlib.contextmanager
def connected(server, port, header, ca=None):
    """Returns an SMTP client after the PROXY header, with TLS on 465."""
    raw = socket.create_connection(("127.0.0.1", server.ports[port]), timeout=30)
    raw.sendall(header)
    context = ssl.create_default_context(cafile=server.ca)
    client = smtplib.SMTP(timeout=30)
    client._host = "localhost"
    client.sock = context.wrap_socket(raw, server_hostname="localhost") if port == 465 else raw
    try:
        code, text = client.getreply()
        assert code == 220, (code, text)
        if port in (587, 2525):
            client.starttls(context=context)
        if port != 25:
            client.login(USER, PASSWORD)
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("port", [25, 587, 2525, 465])
@pytest.mark.parametrize("make, client", [(v1, "203.0.113.7"), (v2, "203.0.113.8"), (v2, "2001:db8::9"), (lambda c: v1(c, "TCP6"), "2001:db8::a")])
def test_the_client_behind_it_is_logged(server, port, make, client):
    with connected(server, port, make(client)) as smtp:
        smtp.sendmail(USER if port != 25 else "bob@elsewhere.net", [USER], "Subject: hi\r\n\r\nhi\r\n")
    server.wait_log("accepted", f"client={client}" if ":" not in client else client)
    until(lambda: server.mail(USER))
    assert client.encode() in server.mail(USER)[0]


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x21\0\0\0"])
def test_the_balancer_itself(server, header):
    with connected(server, 25, header) as smtp:
        smtp.sendmail("bob@elsewhere.net", [USER], "Subject: hi\r\n\r\nhi\r\n")
    server.wait_log("accepted", "client=127.0.0.1")


def test_a_header_in_single_octets_and_with_what_follows(server):
    for header in (v1("203.0.113.7"), v2("203.0.113.7", b"\x04\0\x03abc")):
        with socket.create_connection(("127.0.0.1", server.ports[25]), timeout=30) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in header:
                raw.sendall(bytes([octet]))
            assert raw.recv(1000).startswith(b"220 ")
            raw.sendall(b"QUIT\r\n")
            assert raw.recv(1000).startswith(b"221 ")
        # everything in one segment, which no client should do: no data is lost, and port 25 refuses it
        for port in (587, 25):
            with socket.create_connection(("127.0.0.1", server.ports[port]), timeout=30) as raw:
                raw.sendall(header + b"EHLO x\r\nQUIT\r\n")
                until_closed = b"".join(iter(lambda: raw.recv(1000), b""))
                assert until_closed.count(b"\r\n221 ") == 1 if port == 587 else until_closed.startswith(b"554 5.5.0 "), until_closed


@pytest.mark.parametrize("octets", [b"EHLO x\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", b"PROXY TCP9 \r\n", SIGNATURE + b"\x31\x11\0\0",
                                    SIGNATURE + b"\x21\x11\0\x04abcd", b"PROXY " + b"x" * 200, b"\x16\x03\x01\x00\x05"])
def test_what_is_no_header_is_refused_at_once(server, octets):
    with socket.create_connection(("127.0.0.1", server.ports[25]), timeout=30) as raw:
        raw.sendall(octets)
        assert raw.recv(1000).startswith(b"421 4.7.0 PROXY protocol header expected")
        assert raw.recv(1000) == b""
    server.wait_log("proxy_header_rejected", "proxy=127.0.0.1")


def test_a_header_that_does_not_come_is_not_waited_for(server):
    with socket.create_connection(("127.0.0.1", server.ports[25]), timeout=30) as raw, \
         socket.create_connection(("127.0.0.1", server.ports[465]), timeout=30) as silent:
        raw.sendall(b"PROXY TCP4 ")
        assert raw.recv(1000).startswith(b"421 ")
        assert silent.recv(1000) == b""
    server.wait_log("proxy_header_rejected", "no header came in time")
    with connected(server, 25, v1("203.0.113.7")) as smtp:
        assert smtp.noop()[0] == 250


def test_many_that_say_nothing_or_leave(server):
    crowd = [socket.create_connection(("127.0.0.1", server.ports[25]), timeout=30) for _ in range(40)]
    for n, raw in enumerate(crowd):
        raw.sendall(v2("203.0.113.7")[:n])
    for raw in crowd[::2]:
        raw.close()
    with connected(server, 25, v1("203.0.113.7")) as smtp:
        assert smtp.noop()[0] == 250
    server.cli("reload")
    for raw in crowd[1::2]:
        raw.close()


def test_limits_and_guessing_know_the_client(server, tmp_path):
    """Wrong passwords of one client lock out that client, and no other behind the same load balancer."""
    def tries(client, password):
        raw = socket.create_connection(("127.0.0.1", server.ports[587]), timeout=30)
        raw.sendall(v1(client))
        smtp = smtplib.SMTP(timeout=30)
        smtp._host, smtp.sock = "localhost", raw
        smtp.getreply()
        smtp.starttls(context=ssl.create_default_context(cafile=server.ca))
        try:
            smtp.login(USER, password)
            return 235
        except smtplib.SMTPResponseException as e:
            return e.smtp_code
        except smtplib.SMTPServerDisconnected:
            return 0
        finally:
            smtp.close()
    assert tries("203.0.113.20", PASSWORD) == 235
    for _ in range(12):
        tries("203.0.113.66", "wrong")
    locks = server.cli("user", "locks").stdout
    assert "203.0.113.66" in locks and "127.0.0.1" not in locks
    assert tries("203.0.113.66", PASSWORD) != 235
    assert tries("203.0.113.20", PASSWORD) == 235


@pytest.mark.parametrize("port", [25, 587, 2525, 465])
@pytest.mark.parametrize("header", [v1("203.0.113.7"), v2("203.0.113.7")])
def test_a_client_that_sends_it_unasked_is_refused_at_once(shared_server, port, header):
    with socket.create_connection(("127.0.0.1", shared_server.ports[port]), timeout=30) as raw:
        raw.sendall(header)
        heard = b"".join(iter(lambda: raw.recv(1000), b""))
        assert b"554 5.7.0 PROXY protocol is not accepted from your address" in heard and b"203.0.113.7" not in heard
    shared_server.wait_log("connection_rejected", "PROXY header", "client=127.0.0.1", f"port={shared_server.ports[port]}")


def test_others_than_the_balancer_are_plain_clients(tmp_path, certificates):
    server = Proxied(tmp_path / "server", certificates)
    server.proxy = "192.0.2.0/24, \"2001:db8::/32\""
    server.start()
    try:
        with smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30) as client:
            assert client.ehlo()[0] == 250
        with socket.create_connection(("127.0.0.1", server.ports[25]), timeout=30) as raw:
            raw.sendall(v1("203.0.113.7"))
            assert b"554 5.7.0 PROXY" in b"".join(iter(lambda: raw.recv(1000), b""))
        shown = server.cli("config", "show").stdout
        assert 'proxy: ["192.0.2.0/24", "2001:db8::/32"]' in shown or "proxy: [192.0.2.0/24, " in shown
    finally:
        server.stop()


@pytest.mark.parametrize("value", ["[10.0.0.1/8]", "[localhost]", "[10.0.0.0/33]", "127.0.0.1", "[\"\"]"])
def test_a_list_that_is_none(tmp_path, certificates, value):
    server = Mailboat(tmp_path / "server", certificates)
    server.write_config()
    server.config.write_text(server.config.read_text().replace(", role: mx", f", proxy: {value}, role: mx"))
    done = server.cli("config", "check", check=False)
    assert done.returncode == 78 and "proxy" in done.stderr, done


# ---- haproxy ----

@pytest.mark.skipif(shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None, reason="haproxy is not installed")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy(server, tmp_path, option):
    """All four ports behind haproxy, with its health checks; the client is 127.0.0.7."""
    fronts = {port: free_port() for port in server.ports}
    file = tmp_path / "haproxy.cfg"
    file.write_text("defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n" + "".join(
        f"listen p{port}\n bind 127.0.0.1:{front}\n unique-id-format x%rt\n server s 127.0.0.1:{server.ports[port]} {option} check inter 100ms check-send-proxy\n"
        for port, front in fronts.items()))
    process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def answers(port):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", fronts[port]), timeout=5) as raw:
                return port == 465 or raw.recv(100).startswith(b"220")
        for port in fronts:
            until(lambda: answers(port))
            context = ssl.create_default_context(cafile=server.ca)
            kind = {"context": context} if port == 465 else {}
            with (smtplib.SMTP_SSL if port == 465 else smtplib.SMTP)("localhost", fronts[port], source_address=("127.0.0.7", 0), timeout=30, **kind) as client:
                if port in (587, 2525):
                    client.starttls(context=context)
                if port != 25:
                    client.login(USER, PASSWORD)
                client.sendmail(USER if port != 25 else "bob@elsewhere.net", [USER], "Subject: through haproxy\r\n\r\nhi\r\n")
            server.wait_log("accepted", "client=127.0.0.7", f"port={server.ports[port]}")
        assert not server.lines("proxy_header_rejected")
    finally:
        process.terminate()
        process.wait()
