# SPDX-License-Identifier: Apache-2.0
"""The first thing a newcomer sees."""
import json
import signal
import subprocess
from pathlib import Path

from mailboat import PROGRAM, run


def test_demo_once_shows_a_message_arriving():
    done = run("demo", "--once", timeout=60)
    assert "587" in done.stdout and "arrived" in done.stdout.lower()


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
