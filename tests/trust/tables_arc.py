# SPDX-License-Identifier: Apache-2.0
"""The tables of ARC: rows with a message and a one-word verdict, and the validation suite of valimail."""
import base64
import re

import tables_dkim

VERDICTS = ("none", "pass", "fail", "temperror")


def belongs(case, table):
    return ("message" in case or "message_base64" in case) and case.get("expect") in VERDICTS


def differences(expect, verdict, case):
    right = {expect, *case.get("accept", [])}
    return [] if verdict["result"] in right else [f"{verdict['result']} ({verdict['reason']}), expected {expect}"]


def suite_belongs(document):
    return any("cv" in dict(test) for _, test in document.get("tests", []))


def suite_cases(document):
    """cv: None, Pass, Fail; empty means fail."""
    zone = {name: {"TXT": [re.sub(r"\s*\n\s*", "", record)]} for name, record in document["txt-records"].items()}
    for name, pairs in document["tests"]:
        test = dict(pairs)
        message = base64.b64encode(tables_dkim.with_crlf((test["message"] or "").encode())).decode()
        expect = str(test["cv"] or "fail").strip().lower()
        yield name, "arc", {"message_base64": message, "now": 1500000000, "zone": zone}, expect


def file_belongs(case, table):
    return "file" in case and case.get("expect") in VERDICTS


# ---- sealing: the fields must have these tags, with these values ----

def tags_of(text):
    pairs = (tag.split("=", 1) for tag in re.sub(r"\s+", " ", text).strip().rstrip(";").split(";"))
    return {name.strip(): re.sub(r"\s+", "", value) for name, value in pairs}


def sealed_fields(text):
    unfolded = re.sub(r"\r\n(?=[ \t])", "", text)
    return dict(line.split(":", 1) for line in unfolded.strip().split("\r\n") if ":" in line)


def seal_differences(expect, verdict, case):
    fields = sealed_fields(verdict.get("sealed", ""))
    wrong = [f"{name} is {tags_of(fields.get(name, 'x='))}, expected {tags_of(expect[key])}"
             for key, name in (("AS", "ARC-Seal"), ("AMS", "ARC-Message-Signature"))
             if tags_of(fields.get(name, "x=")) != {"i": "1", **tags_of(expect[key])}]
    results = re.sub(r"\s+", " ", fields.get("ARC-Authentication-Results", "")).strip()
    if results != re.sub(r"\s+", " ", expect["AAR"]).strip():
        wrong.append(f"ARC-Authentication-Results is {results}")
    return wrong


def sign_suite_belongs(document):
    return any("sig-headers" in dict(test) for _, test in document.get("tests", []))


def sign_suite_cases(document):
    for name, pairs in document["tests"]:
        test = dict(pairs)
        results = re.search(r"^Authentication-Results:((?:.*\n)(?:[ \t].*\n)*)", test["message"], re.M).group(1)
        message = base64.b64encode(tables_dkim.with_crlf(test["message"].encode())).decode()
        yield name, "arc_seal", {"message_base64": message, "now": int(test["t"]), "key": document["privatekey"],
                                 "domain": document["domain"], "selector": document["sel"],
                                 "names": test["sig-headers"], "results": results.replace("\n", "\r\n")}, test


KINDS = [("arc_seal", lambda case, table: False, None, seal_differences), ("arc", file_belongs, tables_dkim.file_row, differences), ("arc", belongs, tables_dkim.row, differences)]
YAML_SUITES = [(suite_belongs, suite_cases), (sign_suite_belongs, sign_suite_cases)]
