# SPDX-License-Identifier: Apache-2.0
"""SPF: rows of JSON tables, and the YAML suite of openspf."""


def belongs(case, table):
    return "ip" in case and ("sender" in case or "helo" in case)


def row(case, table):
    return {key: case[key] for key in ("ip", "helo", "sender", "receiver", "now") if key in case}


def differences(expect, verdict, case):
    results = expect["result"] if isinstance(expect["result"], list) else [expect["result"]]
    results = results + case.get("accept", []) + expect.get("accept", [])
    if verdict.get("result") not in results:
        return [f"result {verdict.get('result')} instead of {' or '.join(results)}"]
    wrong = []
    told = expect.get("explanation")
    if told is not None and verdict["result"] == "fail":
        wanted = "" if told == "DEFAULT" else told
        if verdict["explanation"] != wanted:
            wrong.append(f"explanation {verdict['explanation']!r} instead of {wanted!r}")
    return wrong


KINDS = [("spf", belongs, row, differences)]


# ---- openspf: zonedata has a list of {TYPE: value} for a name; SPF records count as TXT if there is no TXT record ----

def records_of(entries):
    types, timeout = {}, False
    for entry in entries:
        if entry == "TIMEOUT":
            timeout = True
            continue
        for kind, value in entry.items():
            if value == "NONE":
                types.setdefault(kind, [])
            elif value == "TIMEOUT":
                types[kind] = {"fail": "temperror"}
            else:
                types.setdefault(kind, []).append(value)
    spf = types.pop("SPF", [])
    if spf and "TXT" not in types:
        types["TXT"] = spf
    if timeout:  # for each type without records
        types = {kind: values for kind, values in types.items() if values}
        types["fail"] = "temperror"
    return types


def zone_of(zonedata):
    zone = {}
    for name, entries in (zonedata or []).items():
        zone[str(name).lower().rstrip(".")] = records_of(entries or [])
    return zone


def is_openspf(document):
    return "zonedata" in document and "tests" in document


def openspf_cases(document):
    zone = zone_of(document["zonedata"])
    for name, test in document["tests"].items():
        case = dict(test)
        inputs = {"ip": case["host"], "helo": str(case.get("helo") or ""), "sender": str(case.get("mailfrom") or "")}
        expect = {"result": case["result"], "explanation": case.get("explanation")}
        yield name, "spf", {**inputs, "receiver": "receiver.example", "zone": zone}, expect


YAML_SUITES = [(is_openspf, openspf_cases)]
