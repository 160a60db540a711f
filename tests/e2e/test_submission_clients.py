# SPDX-License-Identifier: Apache-2.0
"""Programs of other projects send a message through each submission port, and it arrives complete."""
import email
import email.policy
import json
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
from email.message import EmailMessage

import pytest

from mailboat import PATIENCE, PROGRAM, smtp

USER, PASSWORD = "ada@example.org", "secret-of-ada"
PORTS = [587, 465, 2525]


def expect(server, subject):
    found = server.arrivals(USER, subject)
    assert len(found) == 1, f"{len(found)} messages with the subject {subject}"
    assert b"\nReceived: from " in found[0] and b"Return-Path: <ada@example.org>" in found[0]
    return found[0]


@pytest.mark.parametrize("port", PORTS)
def test_client_smtplib(shared_server, port):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = USER, USER, f"smtplib {port}"
    message.set_content("Grüße\n.\n..two dots\nend\n")
    with smtp(shared_server, port, user=USER, password=PASSWORD) as client:
        client.send_message(message)
    got = expect(shared_server, f"smtplib {port}")
    assert b"\n.\n..two dots\nend\n" in got


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_client_swaks(shared_server, port, mechanism):
    tls = "--tls-on-connect" if port == 465 else "--tls"
    done = subprocess.run(["swaks", "--server", "localhost", "--port", str(shared_server.ports[port]), tls, "--tls-ca-path",
                           str(shared_server.ca), "--tls-verify", "--auth", mechanism, "--auth-user", USER, "--auth-password",
                           PASSWORD, "--from", USER, "--to", USER, "--header", f"Subject: swaks {mechanism} {port}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    expect(shared_server, f"swaks {mechanism} {port}")


@pytest.mark.parametrize("port", PORTS)
def test_client_curl(shared_server, port):
    scheme = "smtps" if port == 465 else "smtp"
    letter = f"From: <{USER}>\r\nTo: <{USER}>\r\nSubject: curl {port}\r\n\r\nby curl\r\n"
    done = subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", str(shared_server.ca), "--url",
                           f"{scheme}://localhost:{shared_server.ports[port]}", "--user", f"{USER}:{PASSWORD}", "--mail-from", USER,
                           "--mail-rcpt", USER, "--upload-file", "-"], input=letter, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expect(shared_server, f"curl {port}")


@pytest.mark.parametrize("port", PORTS)
def test_client_msmtp(shared_server, tmp_path, port):
    config = tmp_path / "msmtprc"
    config.write_text(f"account default\nhost localhost\nport {shared_server.ports[port]}\nfrom {USER}\nauth on\nuser {USER}\n"
                      f"password {PASSWORD}\ntls on\ntls_starttls {'off' if port == 465 else 'on'}\n"
                      f"tls_trust_file {shared_server.ca}\n")
    config.chmod(0o600)
    done = subprocess.run(["msmtp", "-C", str(config), USER], input=f"From: {USER}\nTo: {USER}\nSubject: msmtp {port}\n\nhi\n",
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expect(shared_server, f"msmtp {port}")


@pytest.mark.parametrize("port", PORTS)
def test_client_nodemailer(shared_server, nodemailer, port):
    script = """
      const nodemailer = require('nodemailer'), fs = require('fs'), o = JSON.parse(process.env.OPTIONS);
      nodemailer.createTransport({host: 'localhost', port: o.port, secure: o.secure, requireTLS: !o.secure,
        auth: {user: o.user, pass: o.password}, tls: {ca: fs.readFileSync(o.ca)}})
        .sendMail({from: o.user, to: o.user, subject: o.subject, text: 'by nodemailer',
                   attachments: [{filename: 'a.bin', content: Buffer.alloc(100000, 7)}]})
        .then(i => console.log(i.response), e => { console.error(e); process.exit(1); });
    """
    options = {"port": shared_server.ports[port], "secure": port == 465, "user": USER, "password": PASSWORD,
               "ca": str(shared_server.ca), "subject": f"nodemailer {port}"}
    done = subprocess.run(["node", "-e", script], cwd=nodemailer, env={**os.environ, "OPTIONS": json.dumps(options)},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("250 2.0.0")
    expect(shared_server, f"nodemailer {port}")


@pytest.mark.parametrize("port", PORTS)
def test_client_mailboat_send(shared_server, tmp_path, port):
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    attached = tmp_path / "grüße.pdf"
    attached.write_bytes(bytes(range(256)) * 100)
    subprocess.run([str(PROGRAM), "send", "--host", "localhost", "--port", str(shared_server.ports[port]),
                    "--user", USER, "--password-file", str(secret), "--ca-file", str(shared_server.ca), "--from", USER, "--to", USER,
                    "--subject", f"send {port} Grüße", "--body", "Schöne Grüße", "--attach", str(attached)],
                   check=True, timeout=60)
    letter = email.message_from_bytes(expect(shared_server, f"send {port} Grüße"), policy=email.policy.default)
    assert letter.get_body().get_content().strip() == "Schöne Grüße"
    part = next(letter.iter_attachments())
    assert part.get_filename() == "grüße.pdf" and part.get_content() == attached.read_bytes()
    assert part["Content-Type"].params["name"] == "grüße.pdf" and b'name="=?utf-8?B?' in expect(shared_server, f"send {port} Grüße")  # for old programs


PERL = """
use Net::SMTP; my ($port, $ca, $user, $password) = @ARGV;
my %tls = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'smtp');
my $s = Net::SMTP->new('localhost', Port => $port, Timeout => 20, SSL => $port == $ENV{SSL_PORT}, %tls) or die "no connection";
$s->starttls(%tls) or die 'starttls: ' . $s->message if $port != $ENV{SSL_PORT};
$s->auth($user, $password) or die 'auth: ' . $s->message;
$s->mail($user) && $s->to($user) && $s->data("From: $user\nSubject: perl $ENV{NAMED}\n\nhi\n") or die $s->message; $s->quit;
"""


@pytest.mark.parametrize("port", PORTS)
def test_client_perl(shared_server, port):
    done = subprocess.run(["perl", "-e", PERL, str(shared_server.ports[port]), str(shared_server.ca), USER, PASSWORD], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "SSL_PORT": str(shared_server.ports[465]), "NAMED": str(port)})
    if "IO::Socket::SSL" in done.stderr:
        pytest.skip("Perl's IO::Socket::SSL is not installed")
    assert done.returncode == 0, done.stderr
    expect(shared_server, f"perl {port}")


@pytest.mark.parametrize("port", PORTS)
def test_client_mutt(shared_server, tmp_path, port):
    (tmp_path / "muttrc").write_text(f"set smtp_url=\"{'smtps' if port == 465 else 'smtp'}://{USER}@localhost:{shared_server.ports[port]}/\"\nset smtp_pass=\"{PASSWORD}\"\n"
                                     f"set smtp_authenticators=\"scram-sha-256:plain\"\nset ssl_force_tls=yes\nset ssl_starttls=yes\nset certificate_file=\"{shared_server.ca}\"\nset ssl_ca_certificates_file=\"{shared_server.ca}\"\n"
                                     f"set from={USER}\nset use_from=yes\nset copy=no\nset record=\"\"\n")
    done = subprocess.run(["mutt", "-n", "-F", str(tmp_path / "muttrc"), "-s", f"mutt {port}", "--", USER], input="hi\n", capture_output=True, text=True, timeout=60,
                          env={**os.environ, "HOME": str(tmp_path), "TERM": "dumb"})
    assert done.returncode == 0, done.stdout + done.stderr
    expect(shared_server, f"mutt {port}")


@pytest.mark.parametrize("port", PORTS)
def test_client_git(shared_server, tmp_path, port):
    patch = tmp_path / "0001.patch"
    patch.write_text(f"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: {USER}\nDate: Mon, 23 Nov 2026 12:00:00 +0000\nSubject: git {port}\n\nhi\n---\n x | 1 +\n")
    done = subprocess.run(["git", "send-email", "--no-xmailer", "--quiet", "--confirm=never", "--suppress-cc=all", f"--from={USER}", f"--to={USER}", "--smtp-server=localhost",
                           f"--smtp-server-port={shared_server.ports[port]}", f"--smtp-encryption={'ssl' if port == 465 else 'tls'}", f"--smtp-ssl-cert-path={shared_server.ca}",
                           f"--smtp-user={USER}", f"--smtp-pass={PASSWORD}", str(patch)], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "HOME": str(tmp_path), "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": USER, "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": USER})
    if "IO::Socket::SSL" in done.stderr:
        pytest.skip("Perl's IO::Socket::SSL is not installed")
    assert done.returncode == 0, done.stdout + done.stderr
    expect(shared_server, f"git {port}")


GO = r"""
package main
import ("crypto/tls"; "crypto/x509"; "net/smtp"; "os")
func check(err error) { if err != nil { panic(err) } }
func main() {
	pem, err := os.ReadFile(os.Args[2]); check(err)
	roots := x509.NewCertPool(); roots.AppendCertsFromPEM(pem)
	settings := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	var c *smtp.Client
	if os.Args[5] == "465" {
		line, err := tls.Dial("tcp", "localhost:" + os.Args[1], settings); check(err)
		c, err = smtp.NewClient(line, "localhost"); check(err)
	} else {
		c, err = smtp.Dial("localhost:" + os.Args[1]); check(err)
		check(c.StartTLS(settings))
	}
	check(c.Auth(smtp.PlainAuth("", os.Args[3], os.Args[4], "localhost")))
	check(c.Mail(os.Args[3])); check(c.Rcpt(os.Args[3]))
	w, err := c.Data(); check(err)
	_, err = w.Write([]byte("From: " + os.Args[3] + "\r\nSubject: go " + os.Args[5] + "\r\n\r\nhi\r\n")); check(err)
	check(w.Close()); check(c.Quit())
}
"""


@pytest.mark.parametrize("port", PORTS)
def test_client_go(shared_server, tmp_path, port):
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    (tmp_path / "send.go").write_text(GO)
    done = subprocess.run(["go", "run", str(tmp_path / "send.go"), str(shared_server.ports[port]), str(shared_server.ca), USER, PASSWORD, str(port)],
                          capture_output=True, text=True, timeout=180, env={**os.environ, "GOFLAGS": "-mod=mod", "GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off"})
    assert done.returncode == 0, done.stderr
    expect(shared_server, f"go {port}")


@pytest.mark.parametrize("port", PORTS)
def test_a_wrong_password_is_refused(shared_server, port):
    with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        smtp(shared_server, port, user=USER, password="wrong")
    assert caught.value.smtp_code == 535
    assert shutil.which("swaks")


def test_the_key_of_an_application_signs_in(shared_server):
    secret = shared_server.cli("key", "add", USER, "--name", "shop").stdout.split()[-1]
    with smtp(shared_server, 587, user=USER, password=secret) as client:
        client.sendmail(USER, [USER], "Subject: by key\r\n\r\n")


def test_client_mailboat_send_html(shared_server, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<html><head><title>Offer</title><style>p { color: red }</style></head><body><h1>Grüße</h1><p>fish &amp; chips</p></body></html>")
    shared_server.cli("send", "--from", USER, "--to", USER, "--subject", "html", "--html", page, "--attach", page)
    letter = email.message_from_bytes(expect(shared_server, "html"), policy=email.policy.default)
    assert letter.get_body(("plain",)).get_content().split() == ["Offer", "Grüße", "fish", "&", "chips"]
    assert "<h1>Grüße</h1>" in letter.get_body(("html",)).get_content()
    assert next(letter.iter_attachments()).get_content_type() == "text/html"


def test_tls_sessions_are_resumed_by_whichever_process(shared_server):
    """All smtpd processes accept each other's session tickets."""
    context = ssl.create_default_context(cafile=shared_server.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the ticket is part of the handshake
    session, resumed = None, 0
    for _ in range(20):
        raw = socket.create_connection(("localhost", shared_server.ports[465]), PATIENCE)
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as client:
            client.recv(100)
            session, resumed = client.session, resumed + client.session_reused
    assert resumed == 19
