# SPDX-License-Identifier: Apache-2.0
"""The worlds behave as intended, seen from the machine without the program."""
import errno
import os
import socket
import ssl
import time

import pytest

from certificates import BUNDLE, LONG, Authority, Certificate
from link import inside
from servers import IMAP, PORTAL, Https, Smtp, smtps
from world import GMAIL, MACHINE, Host, World, drop, no_host, prohibit, refuse

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
FOUR, SIX = "93.184.215.14", "2606:2800:21f:cb07::14"
MAIL = Host("mail.example.com", FOUR, SIX, ports={25: Smtp(), 587: Smtp(), 465: smtps(), 143: IMAP}, silent=(2525,))


@pytest.fixture
def world(tmp_path):
    running = []

    def make(*hosts, **options):
        running.append(World(*hosts, **options).up(tmp_path / f"world{len(running)}"))
        return running[-1]
    yield make
    for one in running:
        one.down()


def knock(world, port, address=FOUR, wait=1.5):
    """Returns the result of a connect attempt ("open", an error's name, or "silent") and its milliseconds."""
    with inside(world.near):
        door = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    door.settimeout(wait)
    started = time.monotonic()
    try:
        door.connect((address, port))
        return "open", (time.monotonic() - started) * 1000
    except TimeoutError:
        return "silent", wait * 1000
    except OSError as error:
        return errno.errorcode[error.errno], (time.monotonic() - started) * 1000
    finally:
        door.close()


def talk(world, port, *lines, address=FOUR, tls=False, name="mail.example.com"):
    """Returns what a server sends; `tls`: implicit TLS."""
    with inside(world.near):
        connection = socket.socket(socket.AF_INET)
    connection.settimeout(5)
    connection.connect((address, port))
    if tls:
        context = ssl.create_default_context(cadata=BUNDLE.decode())
        connection = context.wrap_socket(connection, server_hostname=name)
    with connection, connection.makefile("rwb") as file:
        said = []
        for line in (None, *lines):
            if line is not None:
                file.write(line.encode() + b"\r\n")
                file.flush()
            while True:
                said.append(file.readline().decode().rstrip())
                if said[-1][3:4] != "-":
                    break
        return said


def test_what_answers_and_what_does_not(world):
    it = world(MAIL, Host("silent.example.com", "93.184.215.15", ports={587: Smtp()}, rest="silent"))
    assert {port: knock(it, port)[0] for port in (25, 587, 465, 2525, 2526)} == {25: "open", 587: "open", 465: "open", 2525: "silent", 2526: "ECONNREFUSED"}
    assert knock(it, 587, SIX)[0] == "open" and knock(it, 2525, SIX)[0] == "silent"
    assert knock(it, 25, "93.184.215.15")[0] == "silent" and knock(it, 25, "93.184.215.99")[0] == "silent"
    assert 14 < knock(it, 587)[1] < 1000  # the link has a delay


@pytest.mark.parametrize("make, seen", [(drop, "silent"), (refuse, "ECONNREFUSED"), (no_host, "EHOSTUNREACH")])
def test_a_firewall_on_the_way(world, make, seen):
    it = world(MAIL, way=[make(587)])
    assert knock(it, 587)[0] == seen and knock(it, 25)[0] == "open"


def test_a_firewall_that_says_so(world):
    assert knock(world(MAIL, way=[prohibit(587)]), 587)[0] in ("EHOSTUNREACH", "EACCES")


def test_a_firewall_of_the_machine_is_quicker_than_the_way(world):
    it = world(MAIL, here=[refuse(587)], way=[refuse(25)], delay_ms=40)
    assert knock(it, 587)[1] < 40 < knock(it, 25)[1]


def test_a_redirect_on_the_machine(world):
    it = world(MAIL, redirect_here=(25, 465, 587), local={587: Smtp("220 web01 ESMTP Exim", hello="web01 Hello us [{ip}]")}, local_at="0.0.0.0")
    assert talk(it, 587, "EHLO us")[:2] == ["220 web01 ESMTP Exim", f"250-web01 Hello us [{MACHINE}]"]
    assert knock(it, 25)[0] == "ECONNREFUSED"


def test_a_portal_and_another_service(world):
    it = world(MAIL, portal={587: PORTAL})
    assert talk(it, 143)[0].startswith("* OK")
    with inside(it.near):
        connection = socket.socket()
    connection.connect((FOUR, 587))
    connection.sendall(b"EHLO us\r\n")
    assert connection.recv(100).startswith(b"HTTP/1.1 302")


def test_ipv6_of_three_kinds(world):
    assert knock(world(MAIL, ipv6="dead"), 587, SIX)[0] == "silent"
    assert knock(world(MAIL, ipv6="none"), 587, SIX)[0] == "ENETUNREACH"
    assert knock(world(MAIL, ipv4="none", resolver_at="2606:4700:4700::1111"), 587)[0] == "ENETUNREACH"


def test_certificates(world):
    scanner = Authority("CN=Scanner")
    it = world(MAIL, Host("odd.example.com", "93.184.215.16", ports={465: smtps(certificate=Certificate(days=(-9, -1))), 587: Smtp(certificate=Certificate(old=True)), 443: Https()}))
    assert talk(it, 465, tls=True)[0].startswith("220 mail.example.com")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        talk(it, 465, address="93.184.215.16", tls=True, name="odd.example.com")
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed|unable to get local issuer"):
        talk(world(MAIL, scanner=scanner), 465, tls=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        talk(it, 465, tls=True, name="another.example.com")


def test_a_hole_swallows_what_is_large(world):
    it = world(Host("mail.example.com", FOUR, ports={587: Smtp(), 465: smtps(certificate=Certificate(by=LONG))}), hole=1200)
    assert talk(it, 587, "EHLO us")[0].startswith("220")
    with pytest.raises(TimeoutError):
        talk(it, 465, tls=True)


def test_masked_and_stripped(world):
    it = world(Host("a.example.com", FOUR, ports={587: Smtp(masked=True), 25: GMAIL.changed(stripped=True), 2525: Smtp(starttls="454 4.7.0 TLS not available")}))
    said = talk(it, 587, "EHLO us", "STARTTLS")
    assert "*" in said[0] and any("XXXXXXXA" in line for line in said) and said[-1].startswith("500")
    assert not any("STARTTLS" in line for line in talk(it, 25, "EHLO us"))
    assert talk(it, 2525, "EHLO us", "STARTTLS")[-1].startswith("454")


def test_names(world):
    it = world(MAIL, resolver={"bad.example.com": "servfail", "lost.example.com": "timeout", "mail.example.com": ["10.0.0.5"]}, dns={"example.com MX": ["10 mail.example.com"]})

    def ask(name, at, kind=b"\0\1"):
        with inside(it.near):
            door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        door.settimeout(1)
        door.sendto(b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + kind + b"\0\1", (at, 53))
        reply = door.recv(512)
        return reply[3] & 15, reply[-4:]
    assert ask("mail.example.com", "1.1.1.1") == (0, socket.inet_aton(FOUR)) and ask("mail.example.com", "192.168.1.1") == (0, socket.inet_aton("10.0.0.5"))
    assert ask("bad.example.com", "192.168.1.1")[0] == 2 and ask("nowhere.example.com", "1.1.1.1")[0] == 3
    assert ask("example.com", "1.1.1.1", b"\0\x0f")[0] == 0
    with pytest.raises(TimeoutError):
        ask("lost.example.com", "192.168.1.1")


def test_the_machine(world):
    it = world(MAIL, vendor="DigitalOcean", container=True, files=(("etc/csf/csf.conf", "x"),), environment={"RENDER": "true"}, clock=-400, device="wg0", mtu=1400)
    said = it.run("sh", "-c", "cat /sys/class/dmi/id/sys_vendor /etc/resolv.conf /sys/class/net/wg0/mtu; ls /.dockerenv /etc/csf; echo $RENDER; date +%s; head -c 27 /etc/ssl/certs/ca-certificates.crt").stdout.split("\n")
    assert said[:7] == ["DigitalOcean", "nameserver 192.168.1.1", "1400", "/.dockerenv", "", "/etc/csf:", "csf.conf"]
    assert said[7] == "true" and abs(int(said[8]) + 400 * 86400 - time.time()) < 100 and said[9] == "-----BEGIN CERTIFICATE-----"
    plain = world(MAIL)
    assert plain.run("ls", "/.dockerenv", "/sys/class/dmi").stdout == ""
    assert plain.run("sh", "-c", "id -u; cat /proc/1/environ | tr '\\0' '\\n' | grep -c container=; touch /home/ada/x; ls /etc/ssl/certs").stdout.split() == ["65534", "0", "ca-certificates.crt"]
    assert world(MAIL, root=True, bundle=b"").run("sh", "-c", "id -u; ls /etc/ssl/certs").stdout == "0\n"
