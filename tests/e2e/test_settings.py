# SPDX-License-Identifier: Apache-2.0
"""What `mailboat settings` prints is pasted into the programs it is for, and
their mail arrives. PASSWORD is filled in, as a person would; the server's name
is localhost here, and its CA the tests' own."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from peers import Postfix, unpacked

USER, PASSWORD = "ada@example.org", "secret-of-ada"


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


def text(server, program):
    printed = server.cli("settings", USER, "--for", program).stdout
    assert "PASSWORD" in printed or "Password" in printed or "assword" in printed or program in ("thunderbird", "swaks")
    printed = printed.replace("mx.example.org", "localhost")
    return re.sub(r"(?<![A-Z_])PASSWORD\b", PASSWORD, printed)


def environment(server, **more):
    ca = str(server.ca)
    return {**os.environ, "SSL_CERT_FILE": ca, "NODE_EXTRA_CA_CERTS": ca, "CURL_CA_BUNDLE": ca, **more}


def run(server, *command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, env=environment(server), **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def expect(server, since):
    server.wait_log("delivered", f"to={USER}", since=since)


def test_php_mailer(server, tmp_path):
    since = len(server.log)
    (tmp_path / "send.php").write_text(
        "<?php require '/usr/share/php/libphp-phpmailer/autoload.php';\n$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);\n" + text(server, "phpmailer") +
        f"$mail->SMTPOptions = ['ssl' => ['cafile' => '{server.ca}']];\n$mail->addAddress('{USER}'); $mail->Subject = 'pasted'; $mail->Body = 'hi'; $mail->send();\n")
    run(server, "php", tmp_path / "send.php")
    expect(server, since)


def test_python(server, tmp_path):
    since = len(server.log)
    (tmp_path / "send.py").write_text(f"from email.message import EmailMessage\nmessage = EmailMessage()\nmessage['From'] = message['To'] = '{USER}'\n"
                                      "message.set_content('hi')\n" + text(server, "python"))
    run(server, sys.executable, tmp_path / "send.py")
    expect(server, since)


@pytest.mark.skipif(not os.path.isdir("/usr/lib/python3/dist-packages/django"), reason="Django is not installed")
def test_django(server, tmp_path):
    since = len(server.log)
    (tmp_path / "pasted.py").write_text(text(server, "django") + "SECRET_KEY = 'x'\n")
    (tmp_path / "send.py").write_text("import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'pasted'\nfrom django.core.mail import send_mail\n"
                                      f"assert send_mail('pasted', 'hi', None, ['{USER}']) == 1\n")
    run(server, "/usr/bin/python3", tmp_path / "send.py", cwd=tmp_path)
    expect(server, since)


@pytest.mark.skipif(shutil.which("ruby") is None, reason="Ruby is not installed")
def test_rails_mail(server, tmp_path):
    """Action Mailer gives these settings to the mail gem as they are."""
    since = len(server.log)
    (tmp_path / "send.rb").write_text(
        "require 'mail'\nrequire 'ostruct'\nconfig = OpenStruct.new(action_mailer: OpenStruct.new)\n" + text(server, "rails") +
        f"Mail.deliver do\n  delivery_method :smtp, config.action_mailer.smtp_settings\n  from '{USER}'\n  to '{USER}'\n  subject 'pasted'\n  body 'hi'\nend\n")
    run(server, "ruby", tmp_path / "send.rb")
    expect(server, since)


def test_nodemailer(server, tmp_path):
    modules = [p for p in (unpacked("postfix", "postfix").parent / "node/node_modules", unpacked("postfix", "postfix").parent / "node_modules")
               if (p / "nodemailer").is_dir()]
    if not modules:
        pytest.skip("nodemailer was not fetched")
    since = len(server.log)
    (tmp_path / "send.js").write_text(f"const nodemailer = require('{modules[0]}/nodemailer');\n" + text(server, "nodemailer") +
                                      f"transport.sendMail({{from: '{USER}', to: '{USER}', subject: 'pasted', text: 'hi'}}).then(() => 0, e => {{ console.error(e); process.exit(1); }});\n")
    run(server, "node", tmp_path / "send.js")
    expect(server, since)


def test_msmtp(server, tmp_path):
    since = len(server.log)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    rc = tmp_path / "msmtprc"
    rc.write_text(text(server, "msmtp").replace("~/.msmtp-password", str(tmp_path / "password")) + f"tls_trust_file {server.ca}\n")
    rc.chmod(0o600)
    run(server, "msmtp", "-C", rc, USER, input=f"From: {USER}\nSubject: pasted\n\nhi\n")
    expect(server, since)


@pytest.mark.parametrize("program", ["curl", "swaks"])
def test_one_line_programs(server, tmp_path, program):
    since = len(server.log)
    (tmp_path / "letter").write_text(f"From: {USER}\r\nSubject: pasted\r\n\r\nhi\r\n")
    line = text(server, program).replace("RECIPIENT", USER).replace("MESSAGE", str(tmp_path / "letter")).strip()
    if program == "swaks":
        line += f" --auth-password {PASSWORD} --tls-ca-path {server.ca}"
    run(server, "sh", "-c", line)
    expect(server, since)


WORDPRESS = """<?php
define('ABSPATH', '%(root)s/usr/share/wordpress/'); define('WPINC', 'wp-includes');
foreach (['load', 'plugin', 'functions', 'formatting', 'class-wp-error', 'l10n', 'general-template', 'link-template', 'option', 'pluggable'] as $file)
    require_once ABSPATH . WPINC . "/$file.php";
spl_autoload_register(function ($name) { /* Debian links WordPress to its own PHPMailer */
    $file = '/usr/share/php/libphp-phpmailer/src/' . basename(str_replace('\\\\', '/', $name)) . '.php';
    if (str_starts_with($name, 'PHPMailer') && is_file($file)) require_once $file;
});
%(settings)s
add_action('phpmailer_init', function ($mail) { /* as WP Mail SMTP does it with its constants */
    $mail->isSMTP(); $mail->Host = WPMS_SMTP_HOST; $mail->Port = WPMS_SMTP_PORT; $mail->SMTPSecure = WPMS_SSL; $mail->SMTPAuth = WPMS_SMTP_AUTH;
    $mail->Username = WPMS_SMTP_USER; $mail->Password = WPMS_SMTP_PASS; $mail->SMTPAutoTLS = WPMS_SMTP_AUTOTLS;
    $mail->SMTPOptions = ['ssl' => ['cafile' => '%(ca)s']];
});
add_action('wp_mail_failed', function ($error) { fwrite(STDERR, $error->get_error_message() . "\\n"); });
exit(wp_mail('%(user)s', 'by WordPress', 'hi', ['From: ' . WPMS_MAIL_FROM, 'Content-Type: text/plain; charset=UTF-8']) ? 0 : 1);
"""


@pytest.mark.skipif(shutil.which("php") is None, reason="PHP is not installed")
def test_wordpress(server, tmp_path):
    """wp_mail() of WordPress itself, without a database: it needs none to send."""
    since = len(server.log)
    root = unpacked("wordpress", "wordpress")
    (tmp_path / "send.php").write_text(WORDPRESS % {"root": root, "settings": text(server, "wordpress"), "ca": server.ca, "user": USER})
    run(server, "php", "-d", "display_errors=stderr", tmp_path / "send.php")
    expect(server, since)


@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix needs root")
def test_postfix_as_a_null_client(server, tmp_path, certificates):
    pasted = text(server, "postfix")
    passwords = tmp_path / "sasl_passwd"
    passwords.write_text("".join(line[2:] + "\n" for line in pasted.splitlines() if line.startswith("# [")))
    main = "".join(line + "\n" for line in pasted.splitlines() if not line.startswith("#"))
    main = main.replace("/etc/postfix/sasl_passwd", str(passwords)).replace("/etc/ssl/certs/ca-certificates.crt", str(server.ca))
    since = len(server.log)
    postfix = Postfix(tmp_path / "postfix", "elsewhere.test", certificates, null_client=main)
    try:
        done = run(server, "swaks", "--server", "127.0.0.1", "--port", postfix.port, "--from", USER, "--to", USER, "--header", "Subject: pasted")
        assert "250 2.0.0 Ok: queued" in done.stdout
        expect(server, since)
    finally:
        postfix.stop()


@pytest.mark.parametrize("program", ["apple", "outlook", "thunderbird", "spring"])
def test_forms_name_the_same_facts(server, program):
    printed = text(server, program)
    assert "localhost" in printed and USER in printed
    assert re.search(rf"\b{server.ports[587]}\b", printed)
    assert not re.search(r"(?i)port\D{0,20}\b25\b", printed)


def test_facts_and_refusals(server):
    facts = json.loads(server.cli("settings", USER, "--json").stdout)
    assert {(s["port"], s["tls"]) for s in facts["servers"]} >= {(server.ports[587], "starttls"), (server.ports[465], "implicit")}
    assert server.ports[25] not in [s["port"] for s in facts["servers"]]
    assert PASSWORD not in json.dumps(facts)
    for arguments, code, words in ((["bob@elsewhere.net"], 65, "domains"), (["no address"], 65, "not a mail address"),
                                   ([USER, "--for", "pine"], 64, "thunderbird"), ([], 64, "name one")):
        done = server.cli("settings", *arguments, check=False)
        assert done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1
    provider = server.cli("settings", USER, "--host", "smtp.sendgrid.net").stdout
    assert "apikey" in provider and "API key" in provider
