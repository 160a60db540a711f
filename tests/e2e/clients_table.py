# SPDX-License-Identifier: Apache-2.0
"""Writes docs/clients.md: the clients that the tests run, their versions, and the result by port."""
import re
import subprocess
from pathlib import Path

# test function -> client, the command that prints its version, what was done
CLIENTS = {
    "test_client_smtplib": ("Python smtplib", "/usr/bin/python3 --version", "STARTTLS or TLS, AUTH"),
    "test_client_swaks": ("swaks", "swaks --version", "AUTH PLAIN and LOGIN"),
    "test_client_curl": ("curl", "curl --version", "AUTH"),
    "test_client_msmtp": ("msmtp", "msmtp --version", "AUTH"),
    "test_client_nodemailer": ("nodemailer", "", "AUTH, an attachment"),
    "test_client_perl": ("Perl Net::SMTP", "perl -MNet::SMTP -e 'print $Net::SMTP::VERSION'", "AUTH"),
    "test_client_mutt": ("mutt", "mutt -v", "its own SMTP, AUTH"),
    "test_client_git": ("git send-email", "git --version", "its own SMTP, AUTH"),
    "test_client_mailboat_send": ("mailboat send", "", "the port said"),
    "test_pasted_into_phpmailer": ("PHPMailer", "dpkg-query -W libphp-phpmailer", "pasted settings"),
    "test_pasted_into_django": ("Django", "/usr/bin/python3 -c 'import django; print(django.__version__)'", "pasted settings"),
    "test_pasted_into_rails_mail": ("Ruby mail (Rails)", "ruby -e 'require \"mail\"; puts Mail::VERSION.version'", "pasted settings"),
    "test_pasted_into_wordpress": ("WordPress wp_mail()", "", "pasted settings; without a database"),
    "test_pasted_into_postfix": ("Postfix, null client", "", "pasted settings"),
    "test_client_go": ("Go net/smtp", "go version", "AUTH"),
}
PORTS = ("587", "465", "2525")


def version(command):
    if not command:
        return ""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20)
    found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return found.group(0) if found else ""


def package_version(name):
    """Returns the version of a package that was unpacked or fetched for the tests."""
    root = Path(__file__).resolve().parents[2] / "build-peers"
    if name == "nodemailer":
        for file in root.glob("**/nodemailer/package.json"):
            return re.search(r'"version": "([^"]+)"', file.read_text()).group(1)
    found = [p.name.split("_")[1].split("+")[0] for p in root.glob({"WordPress wp_mail()": "wordpress_*.deb", "Postfix, null client": "postfix_*.deb"}.get(name, "-"))]
    return found[0] if found else ""


def row(name, results):
    client, command, how = CLIENTS[name]
    cells = []
    for port in PORTS:
        of_port = [outcome for parameters, outcome in results if port in parameters or not any(p in parameters for p in PORTS)]
        any_port = [p for p, _ in results if any(q in p for q in PORTS)]
        if not any_port:  # one result for all ports: the settings name 587
            of_port = [outcome for _, outcome in results] if port == "587" else []
        cells.append("" if not of_port else "works" if all(o == "passed" for o in of_port) else "skipped" if all(o == "skipped" for o in of_port) else "fails")
    return f"| {client} | {version(command) or package_version(client)} | {' | '.join(cells)} | {how} |"


def write(reports):
    """Writes the table from `reports`: (test function, parameters, outcome)."""
    found = {}
    for name, parameters, outcome in reports:
        found.setdefault(name, []).append((parameters, outcome))
    lines = ["# Clients that were tried", "", "`make clients` writes this table. Each sends a message to itself with TLS and AUTH, and the message is looked for in the mailbox.",
             "Programs that call `sendmail` (PHP's mail(), cron, git, mutt, s-nail) are tried by `tests/e2e/test_sendmail.py`.",
             "mutt over SMTP chooses SCRAM-SHA-256-PLUS by itself, and Debian's 2.2.12 then fails, as it has no channel binding for TLS 1.3: `set smtp_authenticators=\"scram-sha-256:plain\"`.", "",
             "| client | version | 587 | 465 | 2525 | how |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [row(name, found[name]) for name in CLIENTS if name in found]
    (Path(__file__).resolve().parents[2] / "docs/clients.md").write_text("\n".join(lines) + "\n")
