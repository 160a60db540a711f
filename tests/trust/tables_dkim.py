# SPDX-License-Identifier: Apache-2.0
"""The tables of DKIM: rows with a message, and lists of message files with their results.

Gated by README: pass, fail, temperror, or none of these (policy, neutral and
permerror, which implementations distinguish differently).
"""
import base64
import re

NEITHER = {"permerror", "neutral", "policy"}


def with_crlf(octets):
    return re.sub(rb"\r?\n", b"\r\n", octets)


def message_row(octets, now):
    return {"message_base64": base64.b64encode(octets).decode(), "now": now}


def same(wanted, accepted, got):
    return got == wanted or got in accepted or (got in NEITHER and bool(NEITHER & {wanted, *accepted}))


def list_differences(wanted, accepted, verdict):
    got = [signature["result"] for signature in verdict["signatures"]]
    if len(got) != len(wanted):
        return [f"{len(got)} signatures, expected {len(wanted)}"]
    return [f"signature {i}: {signature['result']} ({signature['reason']}), expected {want}"
            for i, (want, accept, signature) in enumerate(zip(wanted, accepted, verdict["signatures"]), 1)
            if not same(want, accept, signature["result"])]


def row_belongs(case, table):
    return ("message" in case or "message_base64" in case) and isinstance(case.get("expect"), list)


def row(case, table):
    return {key: case[key] for key in ("message", "message_base64", "now") if key in case}


def row_differences(expect, verdict, case):
    return list_differences(expect, [case.get("accept", [])] * len(expect), verdict)


# ---- files: expected.json beside the messages, DNS in the format of each suite ----

def dns_of_lines(text):
    """NAME, space, TXT record: FAKE_DNS.dat, and the head of mail-auth's messages."""
    zone = {}
    for line in text.splitlines():
        name, _, record = line.partition(" ")
        record = record.strip()
        if name.startswith("#") or not record or record == "NXDOMAIN":
            continue
        zone[name.lower()] = {"fail": "temperror"} if record.startswith("~~") else {"TXT": [record]}
    return zone


def dns_of_chasquid(text):
    zone = {}
    for entry in re.split(r"\n\s*\n", text.replace("\\\n", " ")):
        name, _, record = entry.strip().partition(":")
        record = re.sub(r"\s+", " ", record).strip()
        if record in ("TEMPERROR", "PERMERROR"):
            zone[name.lower()] = {"fail": "temperror"} if record == "TEMPERROR" else {}
        elif record:
            zone[name.lower()] = {"TXT": [record]}
    return {name: types for name, types in zone.items() if types}


def file_and_zone(path):
    octets = path.read_bytes()
    dns, fake = path.with_suffix(".dns"), path.parent / "FAKE_DNS.dat"
    if dns.exists():
        return with_crlf(octets), dns_of_chasquid(dns.read_text())
    if fake.exists():
        return octets, dns_of_lines(fake.read_text())
    head, _, message = octets.partition(b"\n\n")
    if b"._domainkey." in head.split(b" ")[0]:
        return with_crlf(message), dns_of_lines(head.decode())
    return with_crlf(octets), {}


def file_belongs(case, table):
    return "file" in case and "signatures" in case


def file_row(case, table):
    message, zone = file_and_zone(table["folder"] / case["file"])
    return {**message_row(message, case["now"]), "zone": zone}


def file_differences(expect, verdict, case):
    wanted = case["signatures"]
    return list_differences([one["result"] for one in wanted], [one.get("accept", []) for one in wanted], verdict)


KINDS = [("dkim", row_belongs, row, row_differences), ("dkim", file_belongs, file_row, file_differences)]
