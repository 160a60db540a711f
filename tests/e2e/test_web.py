# SPDX-License-Identifier: Apache-2.0
"""Settings that mail programs fetch by HTTP and HTTPS."""
import contextlib
import html
import http.client
import json
import plistlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

import pytest

from mailboat import PATIENCE, PROGRAM, Mailboat, free_port, make_certificate, until
from networks import ZONE, networks

ADA = "ada@example.org"


class Drip(threading.Thread):
    """A client that sends its header at one octet per second; runs in parallel with the other tests, as it is slow."""

    def __init__(self, web, secured):
        super().__init__(daemon=True)
        self.web, self.secured, self.took = web, secured, None
        self.start()

    def run(self):
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.web.tls_port if self.secured else self.web.port), PATIENCE) as plain:
            drip = self.web.context.wrap_socket(plain, server_hostname="localhost") if self.secured else plain
            with contextlib.suppress(OSError):
                drip.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\nX: ")
                drip.settimeout(1)
                while True:
                    drip.sendall(b"y")
                    with contextlib.suppress(TimeoutError):
                        if drip.recv(1) == b"":
                            break
        self.took = time.monotonic() - started


class Web:
    def __init__(self, mailboat, certificates, extra="", **options):
        self.port, self.tls_port = free_port(), free_port()
        self.server = mailboat(extra=f"web: {{address: 127.0.0.1, port: {self.port}, tls_port: {self.tls_port}}}\n{extra}", **options)
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
    web = Web(mailboat, certificates, domains=("example.org", "bücher.example"))
    web.drips = [Drip(web, secured) for secured in (False, True)]
    yield web
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


def test_apple_takes_no_profile_without_a_server_to_read_from(web):
    status, body, _ = web.ask(f"/mail/apple.mobileconfig?emailaddress={ADA}")
    assert status == 404 and b"IMAP or POP3" in body


def test_a_page_for_people(web):
    status, body, headers = web.ask("/", Host="mail.example.org")
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
    text = body.decode()
    assert "<title>Mail settings for example.org</title>" in text and f"<code>{web.server.ports[465]}</code></td><td>SSL/TLS" in text and "<script" not in text
    assert "<html lang=" in text and "form-action 'self'" in headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=|url\(|@import", text)  # no external resources
    assert "<form" not in text  # Apple's profile, which requires a server to read mail from


def test_the_servers_own_name_has_a_page(web):
    for host in ("mx.example.org", "MX.example.org:8025", "mx.example.org."):
        status, body, _ = web.ask("/", Host=host)
        text = body.decode()
        assert status == 200 and "<title>Mail server mx.example.org</title>" in text and f"<code>{web.server.ports[465]}</code></td><td>SSL/TLS" in text
    assert web.ask("/mail/config-v1.1.xml", Host="mx.example.org")[0] == 404  # a host name, not a mail domain
    assert web.ask("/", Host="mx2.example.org")[0] == 404


@pytest.mark.parametrize("host, code", [("mta-sts.example.org", 200), ("MTA-STS.Example.ORG:443", 200), ("mta-sts.xn--bcher-kva.example", 200), ("example.org", 404),
                                        ("mta-sts.elsewhere.net", 404), ("mta-sts.", 404), ("autoconfig.example.org", 404), ("", 404)])
def test_the_mta_sts_policy_is_that_of_our_domains(web, host, code):
    status, body, headers = web.ask("/.well-known/mta-sts.txt", Host=host)
    assert status == code and headers["Content-Type"] == "text/plain; charset=utf-8" and (b"mx: mx.example.org\n" in body) == (code == 200)


def test_nobody_learns_which_addresses_there_are(web):
    known, unknown = (web.ask(f"/mail/config-v1.1.xml?emailaddress={who}@example.org") for who in ("ada", "nobody"))
    assert known[:2] == unknown[:2]


@pytest.mark.parametrize("path, host, code", [
    ("/mail/config-v1.1.xml?emailaddress=eve@elsewhere.net", "autoconfig.example.org", 404), ("/mail/config-v1.1.xml", "elsewhere.net", 404),
    ("/mail/config-v1.1.xml", "autoconfig.example.org@evil", 400), ("/mail/config-v1.1.xml", "", 404), ("/", "example.org\"><script>", 400),
    ("/mail/apple.mobileconfig", "autoconfig.example.org", 404),
    ("/../../etc/passwd", "example.org", 400), ("/nothing", "example.org", 404)])
def test_other_questions(web, path, host, code):
    status, body, _ = web.ask(path, Host=host)
    assert status == code and b"root:" not in body and b"<script>" not in body


def test_hostile_clients_are_bounded(web):
    assert web.ask("/", "PUT", "x")[0] == 405
    assert web.ask("/autodiscover/autodiscover.xml", "POST", "x" * 100000)[0] == 413
    with socket.create_connection(("127.0.0.1", web.port), PATIENCE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\nX: " + b"y" * 20000)
        assert ended(raw) == b"431"
    assert answers(web)


def answers(web):
    try:
        return web.ask("/")[0] == 200
    except OSError:
        return False


def ended(connection):
    """Returns the status code of the answer; empty if the server only closed the connection."""
    try:
        return (connection.recv(1000).split(b" ") + [b"", b""])[1]
    except ConnectionResetError:
        return b""


def test_a_domain_in_another_script_is_told_as_dns_has_it(web):
    for domain in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example"):
        status, body, _ = web.ask(f"/mail/config-v1.1.xml?emailaddress=ada@{urllib.parse.quote(domain)}", Host="localhost")
        assert status == 200 and ElementTree.fromstring(body).findtext("emailProvider/domain") == "xn--bcher-kva.example"


# ---- submission on the web's port with TLS ----

def mail_context(web, *protocols):
    context = ssl.create_default_context(cafile=web.server.ca)
    context.set_alpn_protocols(list(protocols))
    return context


def test_who_offers_smtp_submits_there(web):
    with smtplib.SMTP_SSL("localhost", web.tls_port, context=mail_context(web, "h2", "smtp"), timeout=PATIENCE) as client:
        assert client.sock.selected_alpn_protocol() == "smtp"
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail(ADA, [ADA], "Subject: unsigned\r\n\r\n")
        assert refused.value.smtp_code == 530
        client.login(ADA, "secret-of-ada")
        client.sendmail(ADA, [ADA], "Subject: behind the web\r\n\r\nhello\r\n")
    assert len(web.server.arrivals(ADA, "behind the web")) == 1
    accepted, = web.server.wait_log("accepted", f"port={web.tls_port} ")
    assert "client=127.0.0.1" in accepted and "account=ada@example.org" in accepted and "protocol=ESMTPSA" in accepted


@pytest.mark.parametrize("protocols", [(), ("h2", "http/1.1"), ("http/1.1",), ("imap",)])
def test_all_others_get_the_web(web, protocols):
    context = ssl.create_default_context(cafile=web.server.ca)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    client = http.client.HTTPSConnection("localhost", web.tls_port, context=context, timeout=PATIENCE)
    client.request("GET", "/", headers={"Host": "mail.example.org"})
    assert client.getresponse().status == 200


class Handshake:
    """A TLS client that sends its octets in pieces of the test's choice."""

    def __init__(self, web, context):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.socket = socket.create_connection(("127.0.0.1", web.tls_port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def hello(self):
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def until(self, step):
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                result = None
            self.socket.sendall(self.outgoing.read())
            if result is not None:
                return result
            got = self.socket.recv(65536)
            assert got, "it hung up"
            self.incoming.write(got)


def records_of(hello, size):
    body = hello[5:]
    return b"".join(hello[:3] + len(body[i:i + size]).to_bytes(2, "big") + body[i:i + size] for i in range(0, len(body), size))


@pytest.mark.parametrize("cut", ["octets", "records", "both"])
def test_a_hello_in_pieces_is_understood(web, cut):
    h = Handshake(web, mail_context(web, "smtp"))
    with h.socket:
        hello = h.hello() if cut == "octets" else records_of(h.hello(), 50)
        for i in range(0, len(hello), 7 if cut != "records" else len(hello)):
            h.socket.sendall(hello[i:i + (7 if cut != "records" else len(hello))])
            time.sleep(0.002)  # so that they arrive as separate pieces
        h.until(lambda: h.tls.do_handshake() or True)
        assert h.tls.selected_alpn_protocol() == "smtp"
        assert h.until(lambda: h.tls.read(100)).startswith(b"220 ")


def test_who_says_nothing_holds_little(web):
    """Half a ClientHello, no ClientHello, and silence: limited in time."""
    half = Handshake(web, mail_context(web, "smtp"))
    half.socket.sendall(half.hello()[:60])
    clear = socket.create_connection(("127.0.0.1", web.tls_port), PATIENCE)
    clear.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert ended(clear) in (b"", b"400")
    silent = [socket.create_connection(("127.0.0.1", web.tls_port), PATIENCE) for _ in range(25)]
    assert ended(half.socket) == b"" and all(ended(s) == b"" for s in silent)
    for s in (half.socket, clear, *silent):
        s.close()
    until(lambda: secured_answers(web))
    assert secured_answers(web)


def secured_answers(web):
    try:
        return web.ask("/", secured=True)[0] == 200
    except OSError:
        return False


def test_the_web_comes_and_goes_with_a_reload(tmp_path, certificates):
    port = free_port()
    server = Mailboat(tmp_path / "server", certificates).start()
    try:
        for extra, serves in ((f"web: {{address: 127.0.0.1, port: {port}}}\n", True), ("", False)):
            server.extra, since = extra, len(server.log)
            server.write_config()
            server.process.send_signal(signal.SIGHUP)
            server.wait_log("reloaded", since=since)
            until(lambda: ("web" in server.processes()) == serves)  # the old process ends after its last connection
            assert ("web" in server.processes()) == serves
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
                assert serves
    finally:
        server.stop()


# ---- in a network ----

@pytest.fixture(scope="module")
def net(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("web-net")
    make_certificate(certificates, folder, "web", "autoconfig.auto.example.test", "mta-sts.auto.example.test", "mail.example.test")
    with networks(folder / "nets") as net:
        server = net.server_of_mail = net.mailboat(folder / "server", certificates)
        net.web_config = "web: {address: 0.0.0.0, port: 80, tls_port: 443}\n"
        server.write_config = lambda: server.config.write_text(
            f"hostname: mail.example.test\ndata_dir: {server.data}\ndomains: [auto.example.test]\n{net.web_config}"
            f"tls: {{certificate: {folder}/web.pem, key: {folder}/web.key}}\nrelay: {{ca_file: {certificates}/ca.pem}}\n")
        server.start()
        server.add_user("ada@auto.example.test", "secret-of-ada")
        net.ca, net.password = certificates / "ca.pem", folder / "password"
        net.password.write_text("secret-of-ada\n")
        yield net
        server.stop()


@pytest.fixture
def clear_net(net):
    net.clear()
    yield net
    net.clear()


def send_out(net, *more, home=None):
    return net.cli("send", "--host", "mail.example.test", "--user", "ada@auto.example.test", "--password-file", net.password, "--ca-file", net.ca,
                   "--to", "ada@auto.example.test", "--subject", "the last way out", "--body", "hello", *more, home=home or net.folder / f"home{time.monotonic_ns()}")


def test_send_leaves_by_443_when_all_else_is_shut(clear_net):
    net, home = clear_net, clear_net.folder / "remembers"
    net.drop(25, 587, 2525, 465)
    done = send_out(net, home=home)
    assert done.returncode == 0 and "port 443 selected" in done.stderr, done.stderr
    net.server_of_mail.wait_log("accepted", "port=443 ")
    assert "port 443 selected: it worked last time on this network, and it works" in send_out(net, home=home).stderr  # remembered
    assert send_out(net, "--ports", "587,2525,465", "--deadline", "2").returncode == 69  # only if 443 is allowed
    net.clear()
    net.refuse(587, 2525)
    assert "port 465 selected" in send_out(net).stderr


def test_a_smarthost_is_reached_by_443(clear_net, tmp_path, certificates):
    """A relay on the client's host, where only the web ports are open."""
    net = clear_net
    relay = net.mailboat(tmp_path / "relay", certificates,
                         relay=f"relay:\n  via: smarthost\n  ca_file: {net.ca}\n  smarthost: {{host: mail.example.test, user: ada@auto.example.test, password_file: {net.password}}}\n")
    relay.domains, relay.wrapper = ("here.test",), ["ip", "netns", "exec", net.client]
    net.drop(25, 587, 2525, 465)
    relay.start()
    try:
        net.run(PROGRAM, "send", "--config", relay.config, "--from", "ada@auto.example.test", "--to", "ada@auto.example.test", "--subject", "by the relay", "--body", "hello", check=True)
        relay.wait_log("smarthost_port_selected", "port=443")
        relay.wait_log("delivered", "to=ada@auto.example.test", "peer=mail.example.test[192.0.2.2]:443")
        assert len(net.server_of_mail.arrivals("ada@auto.example.test", "by the relay")) == 1
    finally:
        relay.stop()


def test_ports_shows_443_where_it_takes_mail(clear_net):
    net = clear_net
    net.drop(25, 587, 2525, 465)
    facts = json.loads(net.cli("ports", "mail.example.test", "--ca-file", net.ca, "--json", "--deadline", "3").stdout)
    seen = {p["port"]: p for p in facts[0]["ports"]}
    assert facts[0]["use"] == 443 and seen[443]["verdict"] == "open" and seen[443]["tls_mode"] == "implicit" and "PLAIN" in seen[443]["auth"]
    net.clear()
    net.refuse(443)
    facts = json.loads(net.cli("ports", "mail.example.test", "--ca-file", net.ca, "--json").stdout)
    assert facts[0]["use"] == 587 and 443 not in [p["port"] for p in facts[0]["ports"]]


def test_a_port_is_published_while_it_answers(clear_net):
    net, server = clear_net, clear_net.server_of_mail

    def published():
        text = net.run("curl", "-sf", "--cacert", net.ca, "--connect-to", "::192.0.2.2:", "https://autoconfig.auto.example.test/mail/config-v1.1.xml", check=True).stdout
        return [int(s.findtext("port")) for s in ElementTree.fromstring(text).iter("outgoingServer")]

    def look_again(event, *parts):
        since = len(server.log)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("reloaded", since=since)
        server.wait_log(event, *parts, since=since)
    net.refuse(2525)
    look_again("port_not_published", "port=2525")
    assert published() == [587, 465]
    net.refuse(587, 465)  # no port answers: nothing is known, and all stay
    look_again("port_check_inconclusive")
    assert published() == [587, 465, 2525]


def test_mta_sts_is_proposed_once_its_policy_is_served(clear_net):
    net, server = clear_net, clear_net.server_of_mail
    host = "mta-sts IN A 192.0.2.2\n"

    def ask(*more):
        return net.run(PROGRAM, "dns", "auto.example.test", *more, "--config", server.config, where=net.server)

    def row(*lines):
        net.change_zone(ZONE + "$ORIGIN auto.example.test.\n@ IN MX 10 mail.example.test.\n" + "".join(lines))
        return {r["subject"]: r for r in json.loads(ask("--check", "--json").stdout)["records"]}.get("MTA-STS")
    try:
        printed = ask().stdout
        assert "MTA-STS: not proposed" in printed and "mta-sts.auto.example.test. IN CNAME mail.example.test." in printed and "_mta-sts" not in printed
        assert row('_mta-sts IN TXT "v=STSv1; id=1"\n')["fault"] == "sts_not_served"  # announced, but not served
        assert row(host)["verdict"] == "missing"
        record, = re.findall(r'^_mta-sts\.auto\.example\.test\. IN TXT "v=STSv1; id=[0-9a-f]{16}"$', ask().stdout, re.M)
        assert row(host, record + "\n")["verdict"] == "right"
        assert row(host, record + "\n", "@ IN MX 20 other.example.test.\n")["fault"] == "sts_mx"
        policy = net.run("curl", "-sf", "--cacert", net.ca, "--connect-to", "::192.0.2.2:", "https://mta-sts.auto.example.test/.well-known/mta-sts.txt", check=True)
        assert policy.stdout.splitlines() == ["version: STSv1", "mode: enforce", "mx: mail.example.test", "max_age: 604800"]
    finally:
        net.change_zone(ZONE)


def test_ports_reads_it_back(clear_net):
    """`mailboat ports ada@...` finds the server through the settings that it publishes."""
    done = clear_net.cli("ports", "ada@auto.example.test", "--ca-file", clear_net.ca, "--json")
    facts = json.loads(done.stdout)
    assert facts[0]["host"] == "mail.example.test" and facts[0]["use"] == 587, done.stdout + done.stderr
    assert facts[0]["source"] == "the settings that auto.example.test publishes"


# ---- last ----

def test_who_drips_is_hung_up_on(web):
    for drip in web.drips:
        drip.join(3 * PATIENCE)
        assert drip.took is not None and drip.took >= 10  # the time for a header, whatever comes of it


def test_apples_profile_is_signed_and_names_the_ports(web, tmp_path):
    """With IMAP, which is announced after a reload."""
    (web.server.data / "dovecot").mkdir()
    (web.server.data / "dovecot" / "dovecot.conf").write_text("")
    since = len(web.server.log)
    web.server.process.send_signal(signal.SIGHUP)
    web.server.wait_log("reloaded", since=since)
    assert web.ask("/mail/apple.mobileconfig?emailaddress=%3Cx%3E@example.org")[0] == 200  # as text, not as markup: fuzz_published
    action, = re.findall(r'<form action="([^"]+)"', web.ask("/", Host="mail.example.org")[1].decode())  # as the page for users requests it
    status, body, headers = web.ask(f"{action}?emailaddress={urllib.parse.quote(ADA, safe='')}")
    assert status == 200 and headers["Content-Type"] == "application/x-apple-aspen-config"
    (tmp_path / "signed").write_bytes(body)
    plain = subprocess.run(["openssl", "cms", "-verify", "-inform", "DER", "-in", tmp_path / "signed", "-CAfile", web.server.ca, "-purpose", "any"],
                           capture_output=True, check=True).stdout
    profile = plistlib.loads(plain)
    account, = profile["PayloadContent"]
    assert account["PayloadType"] == "com.apple.mail.managed" and account["EmailAddress"] == ADA
    assert account["OutgoingMailServerHostName"] == "mx.example.org" and account["OutgoingMailServerPortNumber"] == web.server.ports[587]
    assert (account["EmailAccountType"], account["IncomingMailServerHostName"], account["IncomingMailServerPortNumber"]) == ("EmailTypeIMAP", "mx.example.org", 993)
    assert account["OutgoingMailServerUseSSL"] is True and profile["PayloadType"] == "Configuration" and profile["PayloadUUID"] != account["PayloadUUID"]


LOOK = """<!doctype html><body><iframe style="width:%dpx;height:600px;border:0" srcdoc="%s"></iframe><script>
onload = () => {
  const page = frames[0].document, view = frames[0], style = element => view.getComputedStyle(element);
  const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
  const light = colour => { const c = numbers(colour).slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                            return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] };
  const paper = element => numbers(style(element).backgroundColor)[3] === 0 ? paper(element.parentElement) : style(element).backgroundColor;
  const contrast = element => { const [a, b] = [light(style(element).color), light(paper(element))].sort((x, y) => x - y); return (b + 0.05) / (a + 0.05) };
  const found = {wide: page.documentElement.scrollWidth, window: view.innerWidth, marked: [...page.querySelectorAll("code")].every(code => style(code).userSelect == "all"),
                 contrast: Math.min(...[...page.querySelectorAll("h1, h2, p, th, td, code, label, button")].map(contrast))};
  document.body.textContent = JSON.stringify(found);
};
</script></body>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_fits_phones(web, tmp_path, width):
    """In a browser nothing is wider than the window, one tap selects each value, text has contrast (WCAG 2.1 AA)."""
    text = web.ask("/", Host="mail.example.org")[1].decode().replace("mx.example.org", "a-long-name-of-a-mail-server.department.example.org")
    (tmp_path / "look.html").write_text(LOOK % (width, html.escape(text)))
    said = subprocess.run(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile", "--window-size=1400,900",
                           "--dump-dom", (tmp_path / "look.html").as_uri()], check=True, capture_output=True, text=True, timeout=120).stdout
    found = json.loads(re.search(r"<body>\s*(\{.*?\})", said, re.DOTALL)[1])
    assert found["wide"] <= found["window"] == width and found["contrast"] >= 4.5 and found["marked"], found


def test_a_dead_web_touches_no_mail(web):
    pid, = web.server.processes()["web"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    web.server.wait_log("process_died", "role=web")
    web.server.cli("send", "--from", ADA, "--to", ADA, "--subject", "still", "--body", "here")
    assert len(web.server.arrivals(ADA, "still")) == 1
    until(lambda: answers(web))
    assert answers(web)
