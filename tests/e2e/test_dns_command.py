# SPDX-License-Identifier: Apache-2.0
"""`mailboat dns`: what it prints is pasted into a zone, and then all is right;
what is wrong there is found."""
import json
import re

import pytest

from mailboat import PROGRAM
from networks import networks

ZONE_HEAD = "@ IN SOA ns.example.test. root.example.test. 1 60 60 60 60\n@ IN NS ns.example.test.\nns IN A 192.0.2.2\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("dns")
    config = folder / "mailboat.conf"
    config.write_text(f"hostname: mx.example.test\ndata_dir: {folder}/data\ndomains: [example.test]\n"
                      f"tls: {{certificate: {certificates}/server.pem, key: {certificates}/server.key}}\n"
                      "resolver: {dnssec: off}\n")
    with networks(folder / "nets") as nets:
        yield nets, config


def ask(place, *arguments):
    nets, config = place
    return nets.run(PROGRAM, "dns", *arguments, "--config", config, where=nets.server)


def records(place):
    """The lines that are pasted: those of the zone, without the address's provider's."""
    printed = ask(place, "example.test")
    assert printed.returncode == 0, printed.stderr
    return [line for line in printed.stdout.splitlines() if line and not line.startswith(";")], printed.stdout


def check(place, lines):
    nets, _ = place
    nets.change_zone("$ORIGIN example.test.\n$TTL 60\n" + ZONE_HEAD + "\n".join(lines) + "\n")
    done = ask(place, "example.test", "--check", "--json")
    return done.returncode, {(r["subject"], r["name"], r["value"]): r for r in json.loads(done.stdout)["records"]}


def verdicts(found, subject):
    return sorted({r["verdict"] for key, r in found.items() if key[0] == subject})


def test_what_is_printed_is_right_once_it_is_pasted(place):
    lines, text = records(place)
    assert "example.test. IN MX 10 mx.example.test." in lines
    assert "mx.example.test. IN A 192.0.2.2" in lines
    assert "_submission._tcp.example.test. IN SRV 0 1 587 mx.example.test." in lines
    assert "_submission._tcp.example.test. IN SRV 10 1 2525 mx.example.test." in lines
    assert re.search(r"^_25\._tcp\.mx\.example\.test\. IN TLSA 3 1 1 [0-9a-f]{64}$", text, re.M)
    assert "mode: enforce" in text and "; 2.2.0.192.in-addr.arpa. IN PTR mx.example.test." in text
    code, found = check(place, lines)
    for key, record in found.items():
        assert record["verdict"] == ("unknown" if key[0] == "PTR" else "right"), record  # nobody here serves the addresses' zone
    assert code == 75


@pytest.mark.parametrize("subject, old, new, verdict, words", [
    ("MX", "MX 10 mx.example.test.", "MX 10 other.example.test.", "different", "another server"),
    ("SPF", "v=spf1 mx a:mx.example.test ~all", "v=spf1 ip4:198.51.100.0/24 -all", "different", "does not allow this server to send"),
    ("SPF", "v=spf1 mx a:mx.example.test ~all", "v=spf1 include:spf.example.net -all", "unsure", "includes"),
    ("SPF", "v=spf1 mx a:mx.example.test ~all", "v=spf1 ip4:192.0.2.0/28 -all", "right", ""),
    ("address", "A 192.0.2.2", "A 198.51.100.7", "unsure", "NAT"),
    ("TLSA", "TLSA 3 1 1 ", "TLSA 3 1 2 ", "different", "DANE"),
    ("SRV", "SRV 0 1 465 mx.", "SRV 0 1 465 old.", "different", "another server"),
    ("DMARC", '"v=DMARC1; p=none', '"v=DMARC2; p=none', "missing", ""),
])
def test_what_is_wrong_is_found(place, subject, old, new, verdict, words):
    lines, _ = records(place)
    changed = [line.replace(old, new) for line in lines if not (subject == "TLSA" and "TLSA" in line)]
    if subject == "TLSA":
        changed.append("_25._tcp.mx.example.test. IN TLSA 3 1 1 " + "ab" * 32)
    assert changed != lines
    _, found = check(place, changed)
    assert verdict in verdicts(found, subject), found
    assert any(words in r.get("hint", "") for key, r in found.items() if key[0] == subject and r["verdict"] == verdict)


def test_a_second_spf_record_is_one_too_many(place):
    lines, _ = records(place)
    _, found = check(place, lines + ['example.test. IN TXT "v=spf1 -all"'])
    assert verdicts(found, "SPF") == ["different"]


@pytest.mark.parametrize("domain, code", [("222.501.285.45", 65), ("no domain", 65), ("a@b.example", 65), ("", 65), ("x" * 300 + ".example", 65)])
def test_what_is_no_domain_is_said_in_one_line(place, domain, code):
    done = ask(place, domain)
    assert done.returncode == code and done.stderr.count("\n") == 1 and done.stdout == ""


def test_a_domain_of_others_is_printed_with_a_word(place):
    done = ask(place, "elsewhere.test")
    assert done.returncode == 0 and "not hosted here" in done.stderr and "elsewhere.test. IN MX" in done.stdout


def test_doctor_looks_at_the_server_too(place):
    nets, config = place
    lines, _ = records(place)
    nets.change_zone("$ORIGIN example.test.\n$TTL 60\n" + ZONE_HEAD + "\n".join(line for line in lines if " MX " not in line) + "\n")
    done = nets.run(PROGRAM, "doctor", "--target", "192.0.2.9:25", "--json", "--config", config, where=nets.server)
    found = {s["what"]: s for s in json.loads(done.stdout)["server"]}
    assert done.returncode == 69
    assert found["port 587"]["status"] == "fail" and found["port 587"]["words"] == "no server listens" and "serve" in found["port 587"]["hint"]
    assert found["port 587"]["state"] == "mend" and found["port 587"]["mend"] == found["port 587"]["hint"]  # the former names, until 0.2
    assert found["certificate"]["status"] == "fail" and "mx.example.test" in found["certificate"]["words"]
    assert "MX missing" in found["DNS of example.test"]["words"] and "--check" in found["DNS of example.test"]["hint"]
    assert "clock" in found and "data directory" in found
