# SPDX-License-Identifier: Apache-2.0
"""`ports --explain`: known facts by the names that users type, without a connection."""
import json
import subprocess

import pytest

from mailboat import PROGRAM


def explain(name, *flags):
    return subprocess.run([str(PROGRAM), "ports", "--explain", name, *flags], capture_output=True, text=True, timeout=20)


def facts(name):
    done = explain(name, "--json")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name, found", [
    ("587", [("port", 587)]), ("smtps", [("port", 465)]), ("2465", [("port", 2465)]),
    ("sendgrid", [("provider", "SendGrid")]), ("google workspace", [("provider", "Gmail")]), ("you@GMail.com", [("provider", "Gmail")]),
    ("email-smtp.eu-west-1.amazonaws.com", [("provider", "Amazon SES")]), ("digitalocean", [("network", "DigitalOcean")]),
    ("google", [("provider", "Gmail"), ("network", "Google Cloud")]), ("cpanel", [("web_host", "cPanel SMTP Restrictions")]),
    ("Avast", [("interceptor", "Avast")]), ("me@tuta.com", [("provider", "Tuta")]), ("speedport", [("network", "Telekom Speedport routers")]),
])
def test_each_thing_is_found_by_the_names_people_use(name, found):
    assert [(fact["kind"], fact.get("name", fact.get("port"))) for fact in facts(name)] == found
    words = explain(name).stdout
    for _, thing in found:
        assert f"{thing}\n" in words
    assert words.count("  source ") == len(found)


def test_nothing_is_told_without_its_source_and_25_is_advised_by_nobody():
    everything = facts("all")
    assert {fact["kind"] for fact in everything} == {"port", "provider", "network", "web_host", "interceptor"}
    for fact in everything:
        assert fact["confidence"] in ("A", "B") and fact["source"]
        assert 25 not in fact.get("starttls", []) + fact.get("implicit", [])
    implicit = {fact["port"] for fact in everything if fact["kind"] == "port" and fact["tls_mode"] == "implicit"}
    assert implicit == {465, 2465, 8465, 443}


@pytest.mark.parametrize("name", ["", "@", "nobody", "0", "65536", "26", "evilgmail.com", "*", ",", "a\nb\033[31m", "x" * 5000])
def test_what_is_not_known_is_said_in_one_line(name):
    done = explain(name, "--json")
    assert done.returncode == 65 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "\033" not in done.stderr and len(done.stderr) < 400
    assert "is unknown; use a port" in done.stderr
