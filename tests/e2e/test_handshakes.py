# SPDX-License-Identifier: Apache-2.0
"""The TLS versions of every port, the cost of a handshake, and that other clients do not wait for it.
client_hello.py writes each octet: current libraries would not offer most of it."""
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from client_hello import (ALERT, CHANGE_CIPHER_SPEC, GROUPS, HANDSHAKE, SHARES, answer_of, extension, hello, is_refused, is_taken, share,
                          vector)
from mailboat import EC, PATIENCE, RSA, Mailboat, free_port, make_certificates, smtp
from networks import CLIENT, SERVER, networks

USER, PASSWORD = "ada@example.org", "secret-of-ada"
ALPN_SMTP = extension(16, vector(b"\4smtp"))
DOORS = ["starttls 25", "starttls 587", "starttls 2525", "implicit 465", "implicit 587", "implicit 2525", "web", "web smtp"]
ILLEGAL_PARAMETER, PROTOCOL_VERSION = 47, 70


class Doors:
    """A server with all its ports, with a key of one kind."""

    def __init__(self, folder, kind):
        folder.chmod(0o755)
        certificates = folder / "tls"
        certificates.mkdir()
        self.web_port, self.kind = free_port(), kind
        make_certificates(certificates, kind={"ecdsa": EC, "rsa": RSA}[kind])
        self.server = Mailboat(folder / "server", certificates, extra=f"web: {{address: 127.0.0.1, port: {free_port()}, tls_port: {self.web_port}}}\n").start()
        self.server.add_user(USER, PASSWORD)

    def knock(self, door):
        """Returns a connection on which the server waits for a ClientHello."""
        how, _, port = door.partition(" ")
        number = self.web_port if how == "web" else self.server.ports[int(port)]
        connection = socket.create_connection(("127.0.0.1", number), PATIENCE)
        if how == "starttls":
            reader = connection.makefile("rb", buffering=0)
            reader.readline()
            connection.sendall(b"EHLO client.example\r\n")
            while reader.readline()[3:4] == b"-":
                pass
            connection.sendall(b"STARTTLS\r\n")
            assert reader.readline().startswith(b"220")
        return connection

    def say(self, door, more=b"", **options):
        """Returns the first record of the answer, its type and content; None without an answer."""
        octets = hello(more=more + (ALPN_SMTP if door == "web smtp" else b""), **options)
        for _ in range(5):
            with self.knock(door) as connection:
                connection.sendall(octets)
                answer = answer_of(connection)
            if door not in ("implicit 587", "implicit 2525") or (answer is not None and answer[0] in (ALERT, HANDSHAKE)):
                break  # otherwise the greeting may have come first: this machine was too busy to send the ClientHello in time
        return answer


def suite_of(answer):
    session = answer[1][38]
    return struct.unpack(">H", answer[1][39 + session:41 + session])[0]


@pytest.fixture(scope="module", params=["ecdsa", "rsa"])
def doors(request, tmp_path_factory):
    made = Doors(tmp_path_factory.mktemp("doors"), request.param)
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    made = Doors(tmp_path_factory.mktemp("one"), "ecdsa")
    yield made
    made.server.stop()


# ---- supported versions and suites ----

@pytest.mark.parametrize("door", DOORS)
def test_elliptic_groups_are_spoken(doors, door):
    for group in ("x25519", "secp256r1", "secp384r1"):
        assert is_taken(doors.say(door, groups=(group,))), group
        certificates = ("secp256r1",) if doors.kind == "ecdsa" else ()  # in TLS 1.2 the list also applies to their curves
        assert is_taken(doors.say(door, groups=(group, *certificates), versions=(), suites=(0xC02B, 0xC02F))), group


@pytest.mark.parametrize("door", DOORS)
def test_no_other_group_is(doors, door):
    for group in ("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192", "secp521r1", "x448"):
        shares = (group,) if group in SHARES else (share(GROUPS[group], b"\4" + b"x" * 132),)
        assert is_refused(doors.say(door, groups=(group,), shares=shares)), group
        assert is_refused(doors.say(door, groups=(group,), shares=())), group
    # a client that prefers a large group gets a small one, after a HelloRetryRequest for its share
    answer = doors.say(door, groups=("ffdhe8192", "x25519"), shares=("ffdhe8192",))
    assert answer[0] == HANDSHAKE and not is_taken(answer)


# RFC 9325 4.1, 4.2; of each kind the suites that libraries supported
NOT_SPOKEN = {
    "DHE": (0x009E, 0x009F, 0x0033, 0x0039, 0x0067, 0x006B, 0xCCAA), "RSA": (0x009C, 0x009D, 0x002F, 0x0035, 0x003C, 0x003D),
    "anonymous": (0x0034, 0x00A6, 0xC018, 0xC019), "NULL": (0x0001, 0x0002, 0x003B, 0xC006, 0xC010),
    "3DES": (0x000A, 0x0016, 0xC008, 0xC012), "RC4": (0x0004, 0x0005, 0xC007, 0xC011), "export": (0x0003, 0x0008, 0x0014),
    "static DH": (0xC004, 0xC00E, 0xC02D, 0xC031), "PSK": (0x00A8, 0x00AA, 0xC035), "CCM": (0xC0AC, 0xC0AE),
}


@pytest.mark.parametrize("kind", NOT_SPOKEN)
@pytest.mark.parametrize("door", DOORS)
def test_no_suite_that_is_weak_or_dear(doors, door, kind):
    for suite in NOT_SPOKEN[kind]:
        assert is_refused(doors.say(door, groups=("x25519", "secp256r1", "ffdhe2048"), versions=(), suites=(suite,))), hex(suite)


# Windows 7 and 8 offer no GCM with RSA; Java 8 and Android 4 AES-CBC with SHA-1
@pytest.mark.parametrize("door", DOORS)
def test_old_mail_programs_are_served(doors, door):
    spoken = {"rsa": (0xC02F, 0xC030, 0xCCA8, 0xC013, 0xC014), "ecdsa": (0xC02B, 0xC02C, 0xCCA9, 0xC009, 0xC00A)}[doors.kind]
    for suite in spoken:
        answer = doors.say(door, groups=("secp256r1", "secp384r1"), versions=(), suites=(suite,))
        assert is_taken(answer) and suite_of(answer) == suite, hex(suite)
    everything = tuple(suite for kind in NOT_SPOKEN.values() for suite in kind) + spoken[::-1]
    assert suite_of(doors.say(door, groups=("x25519", "secp256r1"), versions=(), suites=everything)) in spoken[:3]  # CBC comes last


@pytest.mark.parametrize("door", DOORS)
def test_no_version_before_1_2(doors, door):
    every = (0xC013, 0xC014, 0xC009, 0xC00A, 0x002F, 0x0035)
    for version in (0x0300, 0x0301, 0x0302):
        answer = doors.say(door, groups=("secp256r1",), versions=(), suites=every, legacy=version)
        assert is_refused(answer) and (version == 0x0300 or answer is None or answer[1][1] == PROTOCOL_VERSION), hex(version)
        assert is_refused(doors.say(door, groups=("secp256r1",), versions=(version,), suites=every)), hex(version)


# ---- expensive ClientHellos ----

@pytest.mark.parametrize("door", DOORS)
def test_so_many_groups_and_shares(one, door):
    in_smtpd = door != "web"

    def many(groups, shares):
        ids = [GROUPS["x25519"], *range(0x4000, 0x4000 + groups - 1)]
        return one.say(door, groups=ids, shares=[share(ids[-1], b"x")] * shares + ["x25519"])
    assert is_taken(many(200, 50))
    if in_smtpd:  # at the limit, and one above it
        assert is_taken(many((512 - 2) // 2, 1)) and many((512 - 2) // 2 + 1, 1)[1][1] == ILLEGAL_PARAMETER
        assert is_taken(many(10, (8192 - 2 - 36) // 5)) and many(10, (8192 - 2 - 36) // 5 + 1)[1][1] == ILLEGAL_PARAMETER
    assert is_refused(many(16000, 6000))  # OpenSSL would compare a hundred million numbers


@pytest.mark.parametrize("door", DOORS)
def test_a_client_hello_has_a_size(one, door):
    assert is_taken(one.say(door, more=extension(0x6000, b"x" * 12000)))
    for more in (extension(0x6000, b"x" * 20000), extension(16, vector(b"\1x" * 16000)), b"".join(extension(0x6000 + i, b"") for i in range(8000))):
        assert one.say(door, more=more) is None or door == "web"
        assert is_refused(one.say(door, more=more))


@pytest.mark.parametrize("door", DOORS)
def test_a_client_hello_in_pieces(one, door):
    assert is_taken(one.say(door, size=1))
    assert is_refused(one.say(door, size=1, more=extension(0x6000, b"x" * 4000)))


@pytest.mark.parametrize("door", DOORS)
def test_a_second_client_hello_is_as_good_as_the_first(one, door):
    """The second one follows a HelloRetryRequest."""
    more = ALPN_SMTP if door == "web smtp" else b""
    with one.knock(door) as connection:
        connection.sendall(hello(shares=(), more=more))
        assert answer_of(connection)[0] == HANDSHAKE
        connection.sendall(hello(shares=[share(0x4000, b"x")] * 3000, groups=("x25519", 0x4000), more=more))
        kinds = set()
        while (answer := answer_of(connection)) is not None:
            kinds.add(answer[0])
        assert kinds <= {CHANGE_CIPHER_SPEC, ALERT}  # and the connection ends


@pytest.mark.parametrize("door", DOORS[:6])
def test_others_are_served_all_the_while(one, door):
    """Forty other clients are in their handshakes, at every step."""
    crowd = []
    try:
        for i in range(40):
            crowd.append(one.knock(door))
            crowd[-1].sendall((hello(groups=("secp384r1",)), hello(shares=()), hello()[:50], b"")[i % 4])
        with smtp(one.server, 587) as client:
            client.login(USER, PASSWORD)
            client.sendmail(USER, [USER], f"Subject: beside {door}\r\n\r\nx\r\n")
        for connection in crowd[0::4]:
            assert is_taken(answer_of(connection))
    finally:
        for connection in crowd:
            connection.close()


# ---- limit per address ----

FLOOD = """
import socket, sys
sys.path.insert(0, {here!r})
from client_hello import hello
octets = hello(groups=("secp384r1",))
while True:
    with socket.create_connection(({server!r}, {port}), 20) as connection:
        connection.sendall(octets)
        connection.recv(1)
"""
ASK = """
import ssl, socket
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection(({server!r}, {port}), 20) as plain, context.wrap_socket(plain) as secured:
    secured.sendall({words!r})
    print(secured.recv(3))
"""


@pytest.mark.parametrize("port,words", [(465, b"EHLO x\r\n"), (8443, b"GET / HTTP/1.0\r\n\r\n")])
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_an_address_waits_when_its_handshakes_have_cost_too_much(tmp_path, port, words):
    """The limit is over all processes; other addresses do not wait."""
    certificates = tmp_path / "tls"
    certificates.mkdir()
    make_certificates(certificates, kind=RSA)
    flood = FLOOD.format(here=str(Path(__file__).parent), server=SERVER, port=port)
    with networks(tmp_path / "net") as net:
        server = net.mailboat(tmp_path / "server", certificates, extra="processes: {smtpd: 2}\nweb: {address: 0.0.0.0, port: 8080, tls_port: 8443}\n")
        try:
            server.start()
            for _ in range(4):
                net.start(net.client, sys.executable, "-c", flood, stderr=subprocess.DEVNULL)
            line = server.wait_log("handshakes_delayed", f"client={CLIENT}", "hint=", timeout=120)[0]
            assert line.split()[2] == ("web" if port == 8443 else "smtpd")
            greeting = f"import socket; print(socket.create_connection(({SERVER!r}, 25), 20).recv(3))"
            assert net.run(sys.executable, "-c", greeting, check=True).stdout == "b'220'\n"
            # a client from another network gets its handshake
            asked = net.run(sys.executable, "-c", ASK.format(server=SERVER, port=port, words=words), where=net.server, check=True)
            assert asked.stdout == ("b'HTT'\n" if port == 8443 else "b'220'\n")
            assert not server.lines("process_died")
        finally:
            server.stop()
