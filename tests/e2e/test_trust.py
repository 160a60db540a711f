# SPDX-License-Identifier: Apache-2.0
"""`mailboat trust check`: a message judged by SPF, DKIM and DMARC, with a zone file instead of DNS."""
import base64
import json
import subprocess
from pathlib import Path

import pytest

from arc_signer import with_first_set
from mailboat import ROOT, run
from name_server import NameServer

TABLES = Path(ROOT, "tests/suites/trust")
NOW = 1796000000
ZONE = {"bank.example": {"TXT": ["v=spf1 include:_spf.bank.example -all"]},
        "_spf.bank.example": {"TXT": ["v=spf1 ip4:192.0.2.0/28 -all"]},
        "_dmarc.bank.example": {"TXT": ["v=DMARC1; p=reject"]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["mx.bank.example"]}, "mx.bank.example": {"A": ["192.0.2.1"]}}
LETTER = "From: Ada <ada@bank.example>\nTo: bob@example.org\nSubject: hello\n\nhello\n"


@pytest.fixture
def judge(tmp_path):
    def judge(message, ip, sender, zone=None, *more, time=NOW):
        (tmp_path / "message.eml").write_bytes(message if isinstance(message, bytes) else message.encode())
        (tmp_path / "zone.json").write_text(json.dumps(ZONE if zone is None else zone))
        return run("trust", "check", tmp_path / "message.eml", "--ip", ip, "--from", sender, "--zone", tmp_path / "zone.json",
                   "--time", str(time), *more, check=False)
    return judge


def test_what_is_right_is_delivered(judge):
    done = judge(LETTER, "192.0.2.1", "ada@bank.example")
    assert done.returncode == 0, done.stderr
    assert "SPF    pass: ip4:192.0.2.0/28 in the record of _spf.bank.example" in done.stdout
    assert "DMARC  pass: From is of bank.example; policy reject, from _dmarc.bank.example" in done.stdout
    assert "so     deliver: DMARC passes" in done.stdout


def test_what_is_forged_is_refused_with_the_mend(judge):
    done = judge(LETTER, "198.51.100.1", "ada@bank.example")
    assert "so     reject: DMARC fails, and the policy of the domain is reject" in done.stdout
    assert "reply  550 5.7.26 " in done.stdout and "bank.example" in done.stdout.split("reply")[1]


def test_all_of_it_as_json(judge):
    facts = json.loads(judge(LETTER, "198.51.100.1", "ada@bank.example", None, "--json", "--hostname", "mx.example.org").stdout)
    assert facts["spf"]["result"] == "fail" and facts["spf"]["term"] == "-all"
    assert facts["dkim"] == []
    assert facts["dmarc"]["result"] == "fail" and facts["dmarc"]["policy"] == "reject"
    assert facts["verdict"]["disposition"] == "reject" and facts["verdict"]["code"] == 550
    assert facts["authentication_results"].startswith("Authentication-Results: mx.example.org;")


@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_signatures_that_others_made(judge, ends):
    """Each case of the table, in a file with either line ending."""
    for case in json.loads((TABLES / "dkim/made.json").read_text())["cases"]:
        if "message" not in case or "accept" in case or case["message"].replace("\r\n", "").count("\n"):
            continue
        done = judge(case["message"].replace("\r\n", ends), "192.0.2.1", "", case.get("zone", {}), "--json", time=case["now"])
        assert done.returncode == 0, (case["name"], done.stderr)
        found = [signature["result"] for signature in json.loads(done.stdout)["dkim"]]
        for result, expected in zip(found, case["expect"]):
            assert (result == "pass") == (expected == "pass"), (case["name"], found)


def test_chains_that_others_sealed(judge):
    """ARC: valid and broken chains; a DMARC pass found by a trusted sealer outweighs a signature that it broke."""
    results = {"none": "none", "pass": "pass", "fail": "fail"}
    for case in json.loads((TABLES / "arc/made.json").read_text())["cases"]:
        if "message" not in case or "key" in case:
            continue
        facts = json.loads(judge(case["message"].encode(), "192.0.2.1", "", case.get("zone", {}), "--json", time=case["now"]).stdout)
        expected = case["expect"].get("result", case["expect"]) if isinstance(case["expect"], dict) else case["expect"]
        if isinstance(expected, str) and expected in results:
            assert facts["arc"]["result"] == expected, case["name"]


def test_the_null_sender_is_judged_by_its_helo(judge):
    zone = {**ZONE, "mx.bank.example": {"A": ["192.0.2.1"], "TXT": ["v=spf1 a -all"]}}
    facts = json.loads(judge(LETTER, "192.0.2.1", "<>", zone, "--json", "--helo", "mx.bank.example").stdout)
    assert facts["spf"]["helo"] and facts["spf"]["result"] == "pass" and facts["spf"]["domain"] == "mx.bank.example"


def test_international_names_in_signatures(judge, tmp_path):
    """RFC 8616: d=, s= and i= with U-labels are those with A-labels, whichever way From has its domain; of DKIM and
    ARC."""
    dkim = pytest.importorskip("dkim")
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", tmp_path / "key", "2048"], check=True, capture_output=True)
    key = (tmp_path / "key").read_bytes()
    der = subprocess.run(["openssl", "rsa", "-in", tmp_path / "key", "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    ascii_name, name = "xn--mller-kva.example", "m\u00fcller.example"
    zone = {f"s._domainkey.{ascii_name}": {"TXT": ["v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()]},
            f"_dmarc.{ascii_name}": {"TXT": ["v=DMARC1; p=reject"]}}

    class Identity(bytes):  # dkimpy compares i= and d= without regard to their form
        def endswith(self, *_):
            return True

    def look(domain, author, identity):
        message = f"From: a@{author}\r\nTo: b@example.org\r\nSubject: hello\r\nDate: Mon, 30 Nov 2026 09:00:00 +0000\r\n\r\nhello\r\n".encode()
        signed = dkim.sign(message, b"s", domain.encode(), key, identity=identity and Identity(f"@{identity}".encode()), include_headers=[b"from", b"subject"]) + message
        return signed, json.loads(judge(signed, "192.0.2.1", "", zone, "--json").stdout)

    for domain in (ascii_name, name, name.upper()):
        for author in (ascii_name, name):
            for identity in (None, ascii_name, name, f"sub.{name}", f"sub.{ascii_name}"):
                _, facts = look(domain, author, identity)
                assert facts["dkim"][0]["result"] == "pass" and facts["dkim"][0]["aligned"], (domain, author, identity, facts["dkim"])
                assert facts["dkim"][0]["domain"].lower() == ascii_name and facts["verdict"]["disposition"] == "deliver"
    for domain, identity, reason in ((name, "elsewhere.example", "i= is not under d="), (name, f"x{name}", "i= is not under d="),
                                     ("m\u00fcller..example", None, "d= is not a domain")):
        _, facts = look(domain, name, identity)
        assert facts["dkim"][0]["result"] == "permerror" and reason in facts["dkim"][0]["reason"], facts["dkim"]

    signed, _ = look(name, name, None)
    signed = b"Authentication-Results: list.example; dmarc=pass\r\n" + signed
    sealed = with_first_set(tmp_path, signed, name, "list.example", tmp_path / "key")
    facts = json.loads(judge(sealed, "192.0.2.1", "", zone, "--json", "--arc-trusted", ascii_name).stdout)
    assert facts["arc"]["result"] == "pass" and facts["arc"]["sealers"] == [ascii_name] and facts["arc"]["believed"] == 1, facts["arc"]


@pytest.mark.parametrize("arguments, status, words", [
    (["--from", "a@b.c"], 64, "--ip is missing"),
    (["--ip", "192.0.2.1"], 64, "--from is missing"),
    (["--ip", "192.0.2", "--from", ""], 64, "'192.0.2' is not an IP address"),
    (["--ip", "::1", "--from", "nobody"], 64, "'nobody' is not a mail address"),
    (["--ip", "::1", "--from", "", "--time", "soon"], 64, "'soon' is not seconds"),
    (["--ip", "::1", "--from", "", "--zone", "/nonexistent"], 66, "/nonexistent"),
    (["--ip", "::1", "--from", "", "--zone", "message.eml"], 65, "not a zone"),
    (["--ip", "::1", "--from", "", "--zone", "list.json"], 65, "not a zone"),
])
def test_what_is_not_understood_is_named(tmp_path, monkeypatch, arguments, status, words):
    monkeypatch.chdir(tmp_path)
    Path("message.eml").write_text(LETTER)
    Path("list.json").write_text("[]")
    done = run("trust", "check", "message.eml", *arguments, check=False)
    assert done.returncode == status and words in done.stderr and done.stderr.count("\n") == 1


def test_no_message(tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("")
    asked = ["--ip", "::1", "--from", ""]
    assert run("trust", "check", tmp_path / "none", *asked, check=False).returncode == 66
    done = run("trust", "check", empty, *asked, check=False)
    assert done.returncode == 65 and "is empty" in done.stderr


def test_very_many_other_records_hide_no_spf(tmp_path):
    """Three times the records that an answer may have: the SPF record is found."""
    noise = "\n".join(f'big TXT "{i:02x}"' for i in range(3 * 512))
    server = NameServer(tmp_path, f'big TXT "v=spf1 ip4:192.0.2.1 -all"\n_dmarc.big TXT "v=DMARC1; p=reject"\n{noise}')
    try:
        (tmp_path / "conf").write_text(f"hostname: mx.example.org\ndata_dir: {tmp_path}/data\ndomains: [example.org]\n{server.resolver}")
        (tmp_path / "message.eml").write_text("From: Ada <ada@big.test>\nSubject: hello\n\nhello\n")
        done = run("trust", "check", tmp_path / "message.eml", "--ip", "192.0.2.1", "--from", "ada@big.test", "--config", tmp_path / "conf", "--json")
        facts = json.loads(done.stdout)
        assert facts["spf"]["result"] == "pass" and facts["dmarc"]["result"] == "pass", facts
    finally:
        server.stop()
