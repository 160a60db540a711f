# SPDX-License-Identifier: Apache-2.0
"""The first command that a newcomer runs."""
import contextlib
import imaplib
import json
import os
import poplib
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from mailboat import PATIENCE, PROGRAM, run, until


def test_demo_once_shows_a_message_arriving():
    done = run("demo", "--once", timeout=60)
    assert "587" in done.stdout and "arrived" in done.stdout.lower()


DOVECOT = os.path.exists("/usr/sbin/dovecot")


@contextlib.contextmanager
def demo(*wrapper):
    """Runs the demo; yields its facts and, at the end, its output."""
    process = subprocess.Popen([*wrapper, str(PROGRAM), "demo", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told = []
    try:
        yield json.loads(process.stdout.readline()), told
    finally:
        process.send_signal(signal.SIGINT)
        told.append(process.communicate(timeout=60)[1])


@pytest.mark.skipif(not DOVECOT, reason="Dovecot is not installed")
def test_demo_shows_the_letter_by_imap_and_pop3():
    with demo() as (facts, _):
        assert {name: facts[name] for name in ("imap", "imaps", "pop3", "pop3s")} == {"imap": 10143, "imaps": 10993, "pop3": 10110, "pop3s": 10995}
        context = ssl.create_default_context(cafile=facts["ca"])
        with imaplib.IMAP4_SSL("localhost", facts["imaps"], ssl_context=context, timeout=PATIENCE) as client:
            client.login(facts["user"], facts["password"])
            until(lambda: client.select("INBOX", readonly=True)[1] != [b"0"])
            assert b"Subject: =?" in client.fetch("1", "(BODY.PEEK[HEADER])")[1][0][1]
        client = poplib.POP3_SSL("localhost", facts["pop3s"], context=context, timeout=PATIENCE)
        client.user(facts["user"])
        client.pass_(facts["password"])
        assert client.stat()[0] == 1
        client.quit()


@pytest.mark.skipif(not DOVECOT, reason="Dovecot is not installed")
def test_demo_says_so_where_dovecot_cannot_have_its_ports():
    with socket.create_server(("127.0.0.1", 10993)):
        with demo() as (facts, told):
            assert "imap" not in facts
    assert "Dovecot is not started" in told[0] and "does not run" in told[0]


@pytest.mark.skipif(DOVECOT and os.geteuid() != 0, reason="only root can hide Dovecot from the demo")
def test_demo_without_dovecot():
    hide = ["unshare", "-m", "sh", "-c", 'mount --bind /dev/null /usr/sbin/dovecot && exec "$@"', "sh"] if DOVECOT else []
    with demo(*hide) as (facts, told):
        assert "imap" not in facts and facts["ports"]["587"] == 10587
    assert "Dovecot is not installed" in told[0]


def test_demo_json_names_what_there_is_and_cleans_up():
    process = subprocess.Popen([str(PROGRAM), "demo", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        facts = json.loads(process.stdout.readline())
        assert set(facts) >= {"ports", "user", "password", "maildir", "data_dir", "ca", "config"}
        assert facts["ports"] == {"25": 10025, "587": 10587, "465": 10465, "2525": 2525}
        import smtplib
        import ssl
        with smtplib.SMTP("localhost", facts["ports"]["587"], timeout=10) as client:
            client.starttls(context=ssl.create_default_context(cafile=facts["ca"]))
            client.login(facts["user"], facts["password"])
            client.sendmail(facts["user"], [facts["user"]], "Subject: mine\r\n\r\nhi\r\n")
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    assert code in (0, 130)
    assert not Path(facts["data_dir"]).exists()
