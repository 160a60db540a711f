# SPDX-License-Identifier: Apache-2.0
"""Settings that mail programs fetch by HTTP and HTTPS."""
import http.client
import json
import plistlib
import socket
import ssl
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from mailboat import PATIENCE, Mailboat, free_port, make_certificate, until
from networks import networks

ADA = "ada@example.org"


class Web:
    def __init__(self, mailboat, certificates, extra=""):
        self.port, self.tls_port = free_port(), free_port()
        self.server = mailboat(extra=f"web: {{address: 127.0.0.1, port: {self.port}, tls_port: {self.tls_port}}}\n{extra}")
        self.server.add_user(ADA, "secret-of-ada")
        self.context = ssl.create_default_context(cafile=self.server.ca)

    def ask(self, path, method="GET", body=None, secured=False, **headers):
        client = (http.client.HTTPSConnection("localhost", self.tls_port, context=self.context, timeout=PATIENCE) if secured else
                  http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE))
        client.request(method, path, body, {"Host": "autoconfig.example.org", **headers})
        answer = client.getresponse()
        return answer.status, answer.read(), answer.headers


@pytest.fixture(scope="module")
def web(tmp_path_factory, certificates):
    made = []

    def mailboat(**options):
        made.append(Mailboat(tmp_path_factory.mktemp("web"), certificates, **options).start())
        return made[-1]
    yield Web(mailboat, certificates)
    for server in made:
        server.stop()


@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("path", ["/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml", f"/mail/config-v1.1.xml?emailaddress={ADA}"])
def test_mozillas_form(web, path, secured):
    status, body, headers = web.ask(path, secured=secured)
    assert status == 200 and headers["Content-Type"].startswith("text/xml")
    root = ElementTree.fromstring(body)
    assert root.tag == "clientConfig" and root.get("version") == "1.1"
    provider, = root
    assert provider.tag == "emailProvider" and provider.findtext("domain") == "example.org"
    servers = [(s.get("type"), s.findtext("hostname"), int(s.findtext("port")), s.findtext("socketType")) for s in provider.findall("outgoingServer")]
    ports = web.server.ports
    assert servers[0][0] == "smtp" and {(p, t) for _, _, p, t in servers} == {(ports[587], "STARTTLS"), (ports[2525], "STARTTLS"), (ports[465], "SSL")}
    assert all(h == "mx.example.org" for _, h, _, _ in servers) and str(ports[25]).encode() not in body.replace(str(ports[2525]).encode(), b"")
    assert provider.find("outgoingServer/username").text == "%EMAILADDRESS%" and provider.find("incomingServer") is None  # Dovecot is not set up


POX = """<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>
<EMailAddress>%s</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
</Request></Autodiscover>"""
SPACE = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"


@pytest.mark.parametrize("path", ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"])
def test_outlooks_form(web, path):
    status, body, _ = web.ask(path, "POST", POX % ADA, Host="whoever.example")
    protocol, = ElementTree.fromstring(body).iter(SPACE + "Protocol")
    assert status == 200 and protocol.findtext(SPACE + "Type") == "SMTP" and protocol.findtext(SPACE + "Port") == str(web.server.ports[587])
    assert protocol.findtext(SPACE + "Encryption") == "TLS" and protocol.findtext(SPACE + "LoginName") == ADA


@pytest.mark.parametrize("body", [POX % "eve@elsewhere.net", POX % "", "", "no xml", POX % ("x" * 400 + "@example.org"),
                                  '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + POX % "&x;@example.org"])
def test_requests_about_nobody_here_are_errors(web, body):
    status, said, _ = web.ask("/autodiscover/autodiscover.xml", "POST", body)
    assert status == 200 and b"<ErrorCode>600</ErrorCode>" in said and b"root:" not in said


def test_outlooks_json_leads_there(web):
    status, body, headers = web.ask(f"/autodiscover/autodiscover.json?Email={ADA}&Protocol=Autodiscoverv1")
    assert status == 200 and json.loads(body)["Url"] == "https://autodiscover.example.org/autodiscover/autodiscover.xml"
    assert web.ask(f"/autodiscover/autodiscover.json/v1.0/{ADA}?Protocol=Autodiscoverv1")[0] == 200
    assert web.ask("/autodiscover/autodiscover.json/v1.0/eve@elsewhere.net")[0] == 404


def test_apples_profile_is_signed_and_names_the_ports(web, tmp_path):
    status, body, headers = web.ask(f"/mail/apple.mobileconfig?emailaddress={ADA}")
    assert status == 200 and headers["Content-Type"] == "application/x-apple-aspen-config"
    (tmp_path / "signed").write_bytes(body)
    plain = subprocess.run(["openssl", "cms", "-verify", "-inform", "DER", "-in", tmp_path / "signed", "-CAfile", web.server.ca, "-purpose", "any"],
                           capture_output=True, check=True).stdout
    profile = plistlib.loads(plain)
    account, = profile["PayloadContent"]
    assert account["PayloadType"] == "com.apple.mail.managed" and account["EmailAddress"] == ADA
    assert account["OutgoingMailServerHostName"] == "mx.example.org" and account["OutgoingMailServerPortNumber"] == web.server.ports[587]
    assert account["OutgoingMailServerUseSSL"] is True and profile["PayloadType"] == "Configuration" and profile["PayloadUUID"] != account["PayloadUUID"]


def test_a_page_for_people(web):
    status, body, headers = web.ask("/", Host="mail.example.org")
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
    text = body.decode()
    assert "Mail settings of example.org" in text and f"<code>{web.server.ports[465]}</code></td><td>SSL/TLS" in text and "<script" not in text


def test_nobody_learns_which_addresses_there_are(web):
    known, unknown = (web.ask(f"/mail/config-v1.1.xml?emailaddress={who}@example.org") for who in ("ada", "nobody"))
    assert known[:2] == unknown[:2]


@pytest.mark.parametrize("path, host, code", [
    ("/mail/config-v1.1.xml?emailaddress=eve@elsewhere.net", "autoconfig.example.org", 404), ("/mail/config-v1.1.xml", "elsewhere.net", 404),
    ("/mail/config-v1.1.xml", "autoconfig.example.org@evil", 404), ("/mail/config-v1.1.xml", "", 404), ("/", "example.org\"><script>", 404),
    ("/mail/apple.mobileconfig", "autoconfig.example.org", 404), ("/mail/apple.mobileconfig?emailaddress=%3Cx%3E@example.org", "x", 200),
    ("/../../etc/passwd", "example.org", 404), ("/nothing", "example.org", 404)])
def test_other_questions(web, path, host, code):
    status, body, _ = web.ask(path, Host=host)
    assert status == code and b"root:" not in body and b"<script>" not in body


def test_hostile_clients_are_bounded(web):
    assert web.ask("/", "PUT", "x")[0] == 405
    try:
        assert web.ask("/autodiscover/autodiscover.xml", "POST", "x" * 100000)[0] == 413
    except (ConnectionResetError, BrokenPipeError):
        pass  # it does not hear the rest
    with socket.create_connection(("127.0.0.1", web.port), PATIENCE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\nX: " + b"y" * 20000)
        assert ended(raw) in (b"", b"413", b"414", b"431")
    many = [socket.create_connection(("127.0.0.1", web.port), PATIENCE) for _ in range(30)]
    assert any(ended(s) == b"" for s in many[20:])  # more than it holds of one client
    for s in many:
        s.close()
    until(lambda: answers(web))
    assert answers(web)


def answers(web):
    try:
        return web.ask("/")[0] == 200
    except OSError:
        return False


def ended(connection):
    """The code that was answered; nothing where it only hung up."""
    try:
        return (connection.recv(1000).split(b" ") + [b"", b""])[1]
    except ConnectionResetError:
        return b""


def test_a_dead_web_touches_no_mail(web):
    pid, = web.server.processes()["web"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    web.server.wait_log("child_died", "role=web")
    web.server.cli("send", "--from", ADA, "--to", ADA, "--subject", "still", "--body", "here")
    assert len(web.server.arrivals(ADA, "still")) == 1
    until(lambda: answers(web))
    assert answers(web)


def test_ports_reads_it_back(tmp_path, certificates):
    """`mailboat ports ada@...` finds the server by what it publishes itself."""
    make_certificate(certificates, tmp_path, "web", "autoconfig.auto.example.test", "mail.example.test")
    with networks(tmp_path / "nets") as net:
        server = net.mailboat(tmp_path / "server", certificates)
        server.write_config = lambda: server.config.write_text(
            f"hostname: mail.example.test\ndata_dir: {server.data}\ndomains: [auto.example.test]\nweb: {{address: 0.0.0.0, port: 80, tls_port: 443}}\n"
            f"tls: {{certificate: {tmp_path}/web.pem, key: {tmp_path}/web.key}}\n")
        server.start()
        try:
            done = net.cli("ports", "ada@auto.example.test", "--ca-file", certificates / "ca.pem", "--json")
            facts = json.loads(done.stdout)
            assert facts[0]["host"] == "mail.example.test" and facts[0]["use"] == 587, done.stdout + done.stderr
            assert facts[0]["source"] == "the settings that auto.example.test publishes"
        finally:
            server.stop()
