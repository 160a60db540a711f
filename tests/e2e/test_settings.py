# SPDX-License-Identifier: Apache-2.0
"""The output of `mailboat settings` is pasted into its program, and that program's message arrives."""
import json
import os
import re
import subprocess
from email.message import EmailMessage

import pytest

from mailboat import PROGRAM, run
from peers import Postfix, unpacked

USER, PASSWORD = "ada@example.org", "secret-of-ada"
PORTS = [587, 465, 2525]


@pytest.fixture(scope="module")
def at_localhost(shared_server, tmp_path_factory):
    """Returns the server's configuration with the host name of its certificate and this machine."""
    config = tmp_path_factory.mktemp("settings") / "mailboat.conf"
    config.write_text(shared_server.config.read_text().replace("hostname: mx.example.org", "hostname: localhost"))
    return config


def text_for(config, server, program, port):
    text = run("settings", USER, "--for", program, "--port", server.ports[port], "--config", config).stdout
    assert PASSWORD not in text
    return text.replace("PASSWORD'", PASSWORD + "'").replace("password PASSWORD", f"password {PASSWORD}")


def expect(server, subject):
    assert len(server.arrivals(USER, subject)) == 1


def done(command, **options):
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, **options)
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_msmtp(shared_server, at_localhost, tmp_path, port):
    file = tmp_path / "msmtprc"
    file.write_text(text_for(at_localhost, shared_server, "msmtp", port) + f"tls_trust_file {shared_server.ca}\n")
    file.chmod(0o600)
    done(["msmtp", "-C", file, USER], input=f"From: {USER}\nTo: {USER}\nSubject: pasted msmtp {port}\n\nhi\n")
    expect(shared_server, f"pasted msmtp {port}")


@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_python(shared_server, at_localhost, tmp_path, port):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = USER, USER, f"pasted python {port}"
    file = tmp_path / "pasted.py"
    file.write_text(text_for(at_localhost, shared_server, "python", port) +
                    f"\nimport email\nsubmit(email.message_from_bytes({message.as_bytes()!r}))\n")
    done(["/usr/bin/python3", file], env={**os.environ, "SSL_CERT_FILE": str(shared_server.ca)})
    expect(shared_server, f"pasted python {port}")


@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_phpmailer(shared_server, at_localhost, tmp_path, port):
    file = tmp_path / "pasted.php"
    file.write_text("<?php\nforeach (['Exception', 'SMTP', 'PHPMailer'] as $c) require \"/usr/share/php/libphp-phpmailer/src/$c.php\";\n"
                    "$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);\n" + text_for(at_localhost, shared_server, "phpmailer", port) +
                    f"$mail->addAddress('{USER}'); $mail->Subject = 'pasted phpmailer {port}'; $mail->Body = 'hi'; $mail->send();\n")
    done(["php", "-d", f"openssl.cafile={shared_server.ca}", file])
    expect(shared_server, f"pasted phpmailer {port}")


@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_nodemailer(shared_server, at_localhost, nodemailer, port):
    script = text_for(at_localhost, shared_server, "nodemailer", port) + (
        f"transport.sendMail({{from: '{USER}', to: '{USER}', subject: 'pasted nodemailer {port}', text: 'hi'}})"
        ".catch(e => { console.error(e); process.exit(1); });")
    done(["node", "-e", script], cwd=nodemailer, env={**os.environ, "NODE_EXTRA_CA_CERTS": str(shared_server.ca)})
    expect(shared_server, f"pasted nodemailer {port}")


@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_django(shared_server, at_localhost, tmp_path, port):
    (tmp_path / "pasted_settings.py").write_text("SECRET_KEY = 'x'\n" + text_for(at_localhost, shared_server, "django", port))
    script = f"from django.core.mail import send_mail; send_mail('pasted django {port}', 'hi', None, ['{USER}'])"
    done(["/usr/bin/python3", "-c", script], cwd=tmp_path, env={**os.environ, "DJANGO_SETTINGS_MODULE": "pasted_settings", "SSL_CERT_FILE": str(shared_server.ca)})
    expect(shared_server, f"pasted django {port}")


@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_rails_mail(shared_server, at_localhost, tmp_path, port):
    """Action Mailer passes these settings to the gem mail unchanged."""
    file = tmp_path / "pasted.rb"
    file.write_text("require 'mail'\nrequire 'ostruct'\nconfig = OpenStruct.new(action_mailer: OpenStruct.new)\n" +
                    text_for(at_localhost, shared_server, "rails", port) +
                    "Mail.defaults { delivery_method config.action_mailer.delivery_method, config.action_mailer.smtp_settings }\n"
                    f"Mail.deliver {{ from '{USER}'; to '{USER}'; subject 'pasted rails {port}'; body 'hi' }}\n")
    done(["ruby", file], env={**os.environ, "SSL_CERT_FILE": str(shared_server.ca)})
    expect(shared_server, f"pasted rails {port}")


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
exit(wp_mail('%(user)s', '%(subject)s', 'hi', ['From: ' . WPMS_MAIL_FROM, 'Content-Type: text/plain; charset=UTF-8']) ? 0 : 1);
"""


@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_wordpress(shared_server, at_localhost, tmp_path, port):
    """wp_mail() of WordPress itself, without a database: it needs none to send."""
    (tmp_path / "send.php").write_text(WORDPRESS % {"root": unpacked("wordpress", "wordpress"), "ca": shared_server.ca, "user": USER, "subject": f"pasted wordpress {port}",
                                                    "settings": text_for(at_localhost, shared_server, "wordpress", port)})
    done(["php", "-d", "display_errors=stderr", tmp_path / "send.php"])
    expect(shared_server, f"pasted wordpress {port}")


def test_wordpress_through_sendmail(shared_server, tmp_path):
    """Without a plugin wp_mail() uses PHP's mail(), which uses the drop-in sendmail."""
    program = re.sub(r"add_action\('phpmailer_init'.*?\n\}\);\n", "", WORDPRESS, flags=re.S).replace("WPMS_MAIL_FROM", f"'{USER}'")
    (tmp_path / "send.php").write_text(program % {"root": unpacked("wordpress", "wordpress"), "user": USER, "subject": "wordpress by sendmail", "settings": ""})
    done(["php", "-d", "display_errors=stderr", "-d", f"sendmail_path={PROGRAM} sendmail -C {shared_server.config} -t -i", tmp_path / "send.php"])
    expect(shared_server, "wordpress by sendmail")


@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix needs root")
@pytest.mark.parametrize("port", PORTS)
def test_pasted_into_postfix(shared_server, at_localhost, tmp_path, certificates, port):
    text = text_for(at_localhost, shared_server, "postfix", port)
    passwords = tmp_path / "sasl_passwd"
    passwords.write_text(f"[localhost]:{shared_server.ports[port]} {USER}:{PASSWORD}\n")
    main = "".join(line + "\n" for line in text.splitlines() if re.match(r"\w+ *=", line))
    main = re.sub(r"smtp_sasl_password_maps *=.*", f"smtp_sasl_password_maps = texthash:{passwords}", main)
    main = re.sub(r"smtp_tls_CAfile *=.*\n", "", main) + f"smtp_tls_CAfile = {shared_server.ca}\n"
    postfix = Postfix(tmp_path / "postfix", "elsewhere.test", certificates, null_client=main)
    try:
        done(["swaks", "--server", "127.0.0.1", "--port", postfix.port, "--from", USER, "--to", USER, "--header", f"Subject: pasted postfix {port}"])
        expect(shared_server, f"pasted postfix {port}")
    finally:
        postfix.stop()


@pytest.mark.parametrize("program", ["wordpress", "spring", "postfix", "apple", "outlook", "thunderbird"])
def test_the_facts_are_in_each_text(shared_server, at_localhost, program):
    for port in PORTS:
        text = text_for(at_localhost, shared_server, program, port)
        assert "localhost" in text and str(shared_server.ports[port]) in text and USER in text
        assert not re.search(r"@(HOST|PORT|USER|FROM|DOMAIN|TLS)", text)
    starttls, implicit = (text_for(at_localhost, shared_server, program, p) for p in (587, 465))
    assert starttls.replace(str(shared_server.ports[587]), "") != implicit.replace(str(shared_server.ports[465]), "")


def test_the_ports_are_those_of_the_listeners_without_25(shared_server, at_localhost):
    facts = json.loads(run("settings", USER, "--json", "--config", at_localhost).stdout)
    assert facts["ports"] == [{"port": shared_server.ports[p], "tls": "implicit" if p == 465 else "starttls"} for p in PORTS]
    assert (facts["host"], facts["user"]) == ("localhost", USER)


def test_without_a_configuration_the_provider_is_known(tmp_path):
    """No server is configured on the machine: the settings are from the table, without a line for 443."""
    def ask(*arguments, state=tmp_path):
        return subprocess.run([str(PROGRAM), "settings", *arguments], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "XDG_STATE_HOME": str(state)})
    facts = json.loads(ask("me@web.de", "--host", "smtp.web.de", "--json").stdout)
    assert facts["user"] == "me" and facts["ports"][0] == {"port": 587, "tls": "starttls"}
    assert 443 not in [p["port"] for p in json.loads(ask("me@example.org", "--host", "smtp2go", "--json").stdout)["ports"]]
    refused = ask("me@example.org", "--host", "smtp2go", "--port", "443")
    assert refused.returncode == 65 and "is not for submission" in refused.stderr
    assert "no SMTP at all" in ask("me@tuta.com", "--host", "tuta").stderr


def test_an_address_of_a_provider_needs_no_dns_and_no_configuration(at_localhost, tmp_path):
    for more in ([], ["--config", at_localhost]):  # a local server does not make gmail.com local
        facts = json.loads(run("settings", "me@gmail.com", "--json", *more, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)}).stdout)
        assert (facts["host"], facts["user"]) == ("smtp.gmail.com", "me@gmail.com") and {p["port"] for p in facts["ports"]} == {587, 465}


def test_a_provider_s_own_settings(shared_server):
    facts = json.loads(run("settings", "me@example.net", "--host", "sendgrid", "--json").stdout)
    assert (facts["host"], facts["user"]) == ("smtp.sendgrid.net", "apikey")
    assert {"port": 465, "tls": "implicit"} in facts["ports"] and 25 not in [p["port"] for p in facts["ports"]]
    text = run("settings", "me@example.net", "--host", "sendgrid", "--for", "msmtp").stdout
    assert "\nuser apikey\n" in text and "\nfrom me@example.net\n" in text


@pytest.mark.parametrize("arguments, code, words", [
    (["ada@elsewhere.example"], 65, "elsewhere.example is not hosted here"), ([USER, "--for", "pine"], 64, "wordpress"),
    (["nobody"], 65, "not a mail address"), (['"a b"@example.org'], 65, "not a mail address"), ([USER, "--port", "25"], 65, "is not for submission"),
    ([], 64, "missing ADDRESS"), ([USER, "--host", "a'b"], 65, "is not a host name")])
def test_what_cannot_be_is_said_in_one_line(shared_server, at_localhost, arguments, code, words):
    made = run("settings", *arguments, "--config", at_localhost, check=False)
    assert made.returncode == code and words in made.stderr and made.stderr.count("\n") == 1 and made.stdout == ""


@pytest.mark.parametrize("host, meant", [("smtp.gmial.com", "smtp.gmail.com"), ("stmp.gmail.com", "smtp.gmail.com"), ("smtp.gmail.com", None), ("mail.example.net", None)])
def test_a_slip_in_a_well_known_name_is_named(host, meant):
    done = run("settings", "me@x.example", "--host", host)
    assert f"Server      {host}" in done.stdout
    assert (f"{host} is probably misspelled: {meant} is meant" in done.stderr) == (meant is not None), done.stderr
