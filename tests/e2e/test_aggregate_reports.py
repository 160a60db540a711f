# SPDX-License-Identifier: Apache-2.0
"""`mailboat reports read`: reports as others send them, in messages, packed and plain; bombs, and what is no report.
Each limit is in tests/unit/test_reports.c."""
import base64
import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from mailboat import run

SUITES = Path(__file__).resolve().parent.parent / "suites" / "trust"
DMARC = sorted((SUITES / "dmarc-reports" / "mail-auth").glob("*.json"))
TLS = sorted((SUITES / "tlsrpt" / "mail-auth").glob("*.json"))
REPORT = """<?xml version="1.0"?><feedback><report_metadata><org_name>there.test</org_name><report_id>1</report_id><date_range><begin>1700000000</begin>
<end>1700086399</end></date_range></report_metadata><policy_published><domain>example.org</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>40</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.org</header_from></identifiers></record>
<record><row><source_ip>203.0.113.9</source_ip><count>2</count><policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.org</header_from></identifiers></record></feedback>"""


def read(*files, **options):
    return run("reports", "read", *files, check=False, **options)


def as_json(file):
    done = read(file, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[0]


def word(value, unset):
    return unset if value == "Unspecified" else value.lower()


@pytest.mark.parametrize("expected", DMARC, ids=lambda path: path.stem)
def test_dmarc_reports_of_others(expected):
    wanted = json.loads(expected.read_text())
    report = as_json(next(expected.with_suffix(suffix) for suffix in (".eml", ".xml") if expected.with_suffix(suffix).exists()))
    about = wanted["report_metadata"]
    assert (report["organization"], report["id"], report["begin"], report["end"]) == (about["org_name"], about["report_id"], about["date_range"]["begin"], about["date_range"]["end"])
    assert report["domain"] == wanted["policy_published"]["domain"] and len(report["rows"]) == len(wanted["record"])
    for row, record in zip(report["rows"], wanted["record"]):
        judged = record["row"]["policy_evaluated"]
        assert (row["messages"], row["header_from"]) == (record["row"]["count"], record["identifiers"]["header_from"])
        assert (row["dkim"], row["spf"], row["disposition"]) == (word(judged["dkim"], "fail"), word(judged["spf"], "fail"), word(judged["disposition"], "none"))
        assert row["aligned"] == ("pass" in (row["dkim"], row["spf"])) and record["row"]["source_ip"] in (row["source"], None)


@pytest.mark.parametrize("expected", TLS, ids=lambda path: path.stem)
def test_tls_reports_of_others(expected):
    wanted = json.loads(expected.read_text())
    message = expected.with_suffix(".eml")
    report = as_json(message if message.exists() else expected)
    assert (report["organization"], report["id"]) == (wanted["organization-name"], wanted["report-id"])
    for policy, one in zip(report["policies"], wanted["policies"], strict=True):
        assert (policy["successes"], policy["failures"]) == (one["summary"].get("total-successful-session-count", 0), one["summary"].get("total-failure-session-count", 0))
        assert [d["sessions"] for d in policy["details"]] == [d["failed-session-count"] for d in one.get("failure-details") or []]


def zipped(text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.xml", text)
    return out.getvalue()


def message(content):
    return (b"From: dmarc@there.test\r\nSubject: Report Domain: example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\n"
            b"Content-Type: text/plain\r\n\r\nThis is a report.\r\n--x\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
            base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--x--\r\n")


def test_who_sends_as_us(tmp_path):
    forms = {"plain.xml": REPORT.encode(), "a.gz": gzip.compress(REPORT.encode()), "a.zip": zipped(REPORT), "a.eml": message(gzip.compress(REPORT.encode())),
             "b.eml": message(zipped(REPORT))}
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
    done = read(*(tmp_path / name for name in forms))
    assert done.returncode == 0 and done.stdout.count("there.test on mail of example.org, 2023-11-14 to 2023-11-15 (policy none, report 1)\n") == 5
    table = [line.split() for line in done.stdout.splitlines() if ".0.2.1" in line or "203." in line]
    assert table == [["200", "DKIM", "192.0.2.1", "accepted", "example.org"], ["10", "no", "203.0.113.9", "reject", "example.org"]]
    assert "-> 200 of 210 messages are aligned; the others" in done.stdout
    assert read("-", text_input=REPORT).returncode == 0


def test_one_that_is_wrong_stops_no_other(tmp_path):
    bombs = {"bomb.gz": (gzip.compress(bytes(70 << 20)), "100 times its size"), "bomb.zip": (zipped("0" * (70 << 20)), "100 times its size"),
             "twice.gz": (gzip.compress(gzip.compress(REPORT.encode())), "packed more than once"), "cut.gz": (gzip.compress(REPORT.encode())[:-20], "damaged or cut"),
             "entities.xml": (b'<!DOCTYPE feedback [<!ENTITY a "b">]>' + REPORT[21:].encode(), "not a report"), "dtd.xml": (REPORT.replace("?>", '?><!DOCTYPE a [<!ENTITY a "b">]>', 1).encode(), "DTD"),
             "hello.eml": (b"Subject: hello\r\n\r\nHello\r\n", "not a report"), "empty": (b"", "not a report"), "large.xml": (REPORT.encode() + b" " * (10 << 20), "larger than 10 MiB")}
    for name, (content, _) in bombs.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "good.xml").write_text(REPORT)
    done = read(*(tmp_path / name for name in bombs), tmp_path / "good.xml")
    assert done.returncode == 65 and "there.test on mail of example.org" in done.stdout
    said = done.stderr.splitlines()
    assert len(said) == len(bombs)
    for line, (name, (_, reason)) in zip(said, bombs.items()):
        assert line.startswith(f"mailboat reports: {tmp_path / name}: ") and reason in line, line
    assert read(tmp_path / "missing").returncode == 66 and read().returncode == 64
