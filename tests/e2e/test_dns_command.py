# SPDX-License-Identifier: Apache-2.0
"""`mailboat dns`: after its output is pasted into a zone, the domain is ready for large receivers; problems
in a zone are found. tests/unit/domain_zones.h has each faulty zone."""
import base64
import json
import re
import subprocess

import pytest

from mailboat import PROGRAM
from networks import networks

ZONE_HEAD = "@ IN SOA ns.example.test. root.example.test. 1 60 60 60 60\n@ IN NS ns.example.test.\nns IN A 192.0.2.2\n"
PLACED = "$ORIGIN example.test.\n$TTL 60\n" + ZONE_HEAD


def plant_key(data, domain, selector):
    """Stores the public key of a signing key, as the server does."""
    folder = data / "keys" / domain
    folder.mkdir(parents=True)
    for path in (data, data / "keys"):
        path.chmod(0o711)
    folder.chmod(0o755)
    secret = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=secret, check=True, capture_output=True).stdout
    state = {"form": 1, "algorithm": "rsa", "p": base64.b64encode(public).decode(), "number": 1, "state": "active", "resolver": "ours", "servers": "ours",
             "ttl": 60, "prepared": 1790000000, "published": 1790000100, "active": 1790000200, "looked": 1790000200, "shown": 1790000100}
    (folder / f"{selector}.json").write_text(json.dumps(state))
    return state["p"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("dns")
    config = folder / "mailboat.conf"
    config.write_text(f"hostname: mx.example.test\ndata_dir: {folder}/data\ndomains: [example.test]\n"
                      f"tls: {{certificate: {certificates}/server.pem, key: {certificates}/server.key}}\n"
                      "resolver: {dnssec: off}\n")
    plant_key(folder / "data", "example.test", "s1")
    with networks(folder / "nets", reverse=True) as nets:
        nets.run(PROGRAM, "user", "add", "ada@example.test", "--password-stdin", "--config", config, where=nets.server, input="secret-of-ada\n", check=True)
        yield nets, config


def ask(place, *arguments):
    nets, config = place
    return nets.run(PROGRAM, "dns", *arguments, "--config", config, where=nets.server)


def records(place):
    """Returns the lines to paste, separately those for the address's provider, and the whole output."""
    printed = ask(place, "example.test")
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    return [line for line in lines if line and not line.startswith(";")], [line[2:] for line in lines if " IN PTR " in line], printed.stdout


def publish(place, lines, reverse=()):
    nets, _ = place
    nets.change_reverse("\n".join(reverse) + "\n")
    nets.change_zone(PLACED + "\n".join(lines) + "\n")


def check(place):
    done = ask(place, "example.test", "--check", "--json")
    facts = json.loads(done.stdout)
    return done.returncode, {(r["subject"], r["name"], r["value"]): r for r in facts["records"]}, facts["ready"]


def of_subject(found, subject):
    return [record for key, record in found.items() if key[0] == subject]


def test_what_is_printed_is_right_once_it_is_pasted(place):
    lines, reverse, text = records(place)
    assert "example.test. IN MX 10 mx.example.test." in lines
    assert "mx.example.test. IN A 192.0.2.2" in lines
    assert "_submission._tcp.example.test. IN SRV 0 1 587 mx.example.test." in lines
    assert "_submission._tcp.example.test. IN SRV 10 1 2525 mx.example.test." in lines
    assert re.search(r"^_25\._tcp\.mx\.example\.test\. IN TLSA 3 1 1 [0-9a-f]{64}$", text, re.M) and "new key" in text
    assert 'mx.example.test. IN TXT "v=spf1 a -all"' in lines  # for the sender of its reports
    assert re.search(r'^s1\._domainkey\.example\.test\. IN TXT "v=DKIM1; k=rsa; p=[^"]{237}" "[^"]{155}"$', text, re.M)
    assert "; 2.2.0.192.in-addr.arpa. IN PTR mx.example.test." in text
    assert not re.search(r"^_mta-sts", text, re.M) and "MTA-STS: not proposed" in text  # no policy is served
    publish(place, lines, reverse)
    code, found, ready = check(place)
    for record in found.values():
        assert record["verdict"] == "right" and record["status"] == "fine", record
    assert code == 0 and ready["yes"] and ready["sentence"] == "ready for Gmail, Yahoo and Microsoft (also in bulk): yes"
    spf, = of_subject(found, "SPF")
    assert spf["lookups"] == 2 and spf["voids"] == 0
    table = ask(place, "example.test", "--check").stdout
    assert "(2 of 10 lookups, 0 of 2 void)" in table and "bulk): yes" in table and all(len(line) <= 80 for line in table.splitlines())
    doctor = json.loads(place[0].run(PROGRAM, "doctor", "--target", "192.0.2.9:25", "--json", "--config", place[1], where=place[0].server).stdout)
    said = {s["what"]: s for s in doctor["server"]}
    assert said["DNS of example.test"]["status"] == "ok" and said["mail of example.test"]["words"].endswith("bulk): yes")


@pytest.mark.parametrize("subject, old, new, verdict, words", [
    ("MX", "MX 10 mx.example.test.", "MX 10 other.example.test.", "different", "another server"),
    ("SPF", "v=spf1 mx a:mx.example.test ~all", "v=spf1 ip4:198.51.100.0/24 -all", "different", "does not allow this server to send from 192.0.2.2"),
    ("SPF", "v=spf1 mx a:mx.example.test ~all", "v=spf1 include:spf.example.test -all", "different", "include"),
    ("HELO SPF", '"v=spf1 a -all"', '"v=spf1 -all"', "different", "does not allow"),
    ("DKIM", r're:(s1._domainkey.*TXT "[^"]*") ".*"', r"\1", "different", "Cut at character 255 of 410"),
    ("DKIM", r're:(s1._domainkey.example.test.) IN TXT .*', r"\1 IN CNAME nowhere.example.test.", "different", "CNAME"),
    ("address", "A 192.0.2.2", "A 198.51.100.7", "unsure", "NAT"),
    ("SRV", "SRV 0 1 465 mx.", "SRV 0 1 465 old.", "different", "another server"),
    ("DMARC", '"v=DMARC1; p=none', '"v=DMARC2; p=none', "missing", ""),
    ("DMARC", "rua=mailto:dmarc-reports@", "rua=mailto:nobody@", "different", "no user or alias"),
])
def test_what_is_wrong_is_found(place, subject, old, new, verdict, words):
    lines, reverse, _ = records(place)
    changed = [re.sub(old[3:], new, line) if old.startswith("re:") else line.replace(old, new) for line in lines]
    assert changed != lines
    publish(place, changed, reverse)
    _, found, _ = check(place)
    wrong = [r for r in of_subject(found, subject) if r["verdict"] == verdict]
    assert wrong and any(words in r.get("hint", "") for r in wrong), found
    table = ask(place, "example.test", "--check").stdout
    assert all(len(line) <= 80 for line in table.splitlines()), table


def test_the_reasons_are_told(place):
    lines, reverse, _ = records(place)
    publish(place, [line for line in lines if "DMARC" not in line] + ['example.test. IN TXT "v=spf1 -all"'], reverse[1:])
    code, found, ready = check(place)
    assert code == 69 and not ready["yes"] and [r["reason"] for r in ready["reasons"]] == ["no_reverse", "spf_invalid", "no_dmarc"]
    assert [r["fault"] for r in of_subject(found, "SPF")] == ["spf_two"]
    assert "no, because an address of the server has no reverse name (PTR); the SPF" in " ".join(ask(place, "example.test", "--check").stdout.split())


def test_a_providers_form_wants_names_and_values(place):
    text = ask(place, "example.test", "--form").stdout
    assert re.search(r"^MX\n  Type +MX\n  Name +@\n  Priority +10\n  Value +mx\.example\.test$", text, re.M), text
    assert re.search(r"^DKIM\n  Type +TXT\n  Name +s1\._domainkey\n  Value +v=DKIM1; k=rsa; p=[^ \"]{392}$", text, re.M), text
    form = json.loads(ask(place, "example.test", "--json").stdout)["records"][-1]["form"]
    assert form == {"name": "_submissions._tcp", "value": "mx.example.test", "priority": 0, "weight": 1, "port": 465}
    assert ask(place, "example.test", "--form", "--check").returncode == 64


@pytest.mark.parametrize("domain, code", [("222.501.285.45", 65), ("no domain", 65), ("a@b.example", 65), ("", 65), ("x" * 300 + ".example", 65)])
def test_what_is_no_domain_is_said_in_one_line(place, domain, code):
    done = ask(place, domain)
    assert done.returncode == code and done.stderr.count("\n") == 1 and done.stdout == ""


def test_a_domain_of_others_is_printed_with_a_word(place):
    done = ask(place, "elsewhere.test")
    assert done.returncode == 0 and "not hosted here" in done.stderr and "elsewhere.test. IN MX" in done.stdout
    assert "mailboat dkim add elsewhere.test" in done.stdout


def test_doctor_looks_at_the_server_too(place):
    nets, config = place
    lines, reverse, _ = records(place)
    publish(place, [line for line in lines if " MX " not in line], reverse)
    done = nets.run(PROGRAM, "doctor", "--target", "192.0.2.9:25", "--json", "--config", config, where=nets.server)
    found = {s["what"]: s for s in json.loads(done.stdout)["server"]}
    assert done.returncode == 69
    assert found["port 587"]["status"] == "fail" and found["port 587"]["words"] == "no server listens" and "serve" in found["port 587"]["hint"]
    assert found["port 587"]["state"] == "mend" and found["port 587"]["mend"] == found["port 587"]["hint"]  # the former names, until 0.2
    assert found["certificate"]["status"] == "fail" and "mx.example.test" in found["certificate"]["words"]
    assert "MX missing" in found["DNS of example.test"]["words"] and "--check" in found["DNS of example.test"]["hint"]
    assert "no MX record" in found["mail of example.test"]["words"]
    assert "clock" in found and "disk" in found


def test_doctor_names_the_keys_and_the_domains_of_the_accounts(place):
    """At most 20 of each, keys that cannot be used or wait for a person first."""
    nets, config = place
    lines, reverse, _ = records(place)
    publish(place, lines, reverse)

    def doctor():
        done = nets.run(PROGRAM, "doctor", "--target", "192.0.2.9:25", "--json", "--config", config, where=nets.server)
        return json.loads(done.stdout)["server"]

    def add(*numbers):
        for i in numbers:
            nets.run(PROGRAM, "domain", "add", f"d{i}.example.test", "--config", config, where=nets.server, check=True)

    add(*range(19))
    rows = doctor()
    found = {row["what"]: row for row in rows}
    assert "DNS of example.test" in found and all(f"{what} of d{i}.example.test" in found for i in range(19) for what in ("DNS", "mail", "key"))
    assert "domains" not in found and "signing keys" not in found
    keys = [row for row in rows if row["what"].startswith("key of ")]
    assert len(keys) == 20 and keys[0]["what"] == "key of example.test" and keys[0]["status"] == "fail"  # its private half is missing
    assert "s1.pem" in keys[0]["words"] and "mailboat dkim show example.test" in keys[0]["hint"]
    assert re.match(r"[\w-]+ \(rsa\) is prepared since \d+ \w+ \d{4}: ", found["key of d0.example.test"]["words"]), found["key of d0.example.test"]
    add(19, 20)
    found = {row["what"]: row for row in doctor()}
    assert found["domains"]["words"] == "2 more: not looked up" and found["domains"]["status"] == "ok"
    assert found["signing keys"]["words"] == "2 more" and sum(what.startswith("DNS of ") for what in found) == 20


def test_doctor_says_that_reports_leave_unsigned_and_what_mends_it(place, tmp_path):
    nets, _ = place
    config = tmp_path / "mailboat.conf"
    config.write_text(f"hostname: Mail.other.example.test\ndata_dir: {tmp_path}/data\ndomains: [shop.example.test]\nresolver: {{dnssec: off}}\n"
                      "trust: {reports: {send: [tls], from: noreply@reports.example.test}}\n")

    def mailboat(*arguments):
        return nets.run(PROGRAM, *arguments, "--config", config, where=nets.server)

    def own_reports():
        rows = {row["what"]: row for row in json.loads(mailboat("doctor", "--target", "192.0.2.9:25", "--json").stdout)["server"]}
        return [rows.get(what) for what in ("delivery reports", "reports to domains")]

    assert mailboat("dkim", "add", "shop.example.test").returncode == 0  # another domain's key signs none of them
    for row, name in zip(own_reports(), ("mail.other.example.test", "reports.example.test")):
        assert row["status"] == "warn" and row["words"] == f"leave without a DKIM signature: no key signs for {name} or a domain above it"
        assert row["hint"] == f"mailboat dkim add {name} makes one; publish the record that it prints"
    key, = json.loads(mailboat("dkim", "add", "other.example.test", "--json").stdout)
    bounces, others = own_reports()
    assert bounces["hint"] == "publish the record that mailboat dkim show other.example.test prints" and "dkim add" in others["hint"]
    publish(place, [f"{key['record']['name']}. 0 IN TXT " + " ".join(f'"{part}"' for part in key["record"]["strings"])], [])
    assert json.loads(mailboat("dkim", "tend", "other.example.test", "--json").stdout)[0]["signs"]
    bounces, others = own_reports()
    assert bounces is None and others["status"] == "warn"
    config.write_text(config.read_text().replace("send: [tls], ", ""))
    assert own_reports() == [None, None]
