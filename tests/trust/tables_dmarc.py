# SPDX-License-Identifier: Apache-2.0
"""DMARC: verification and tree walk, From fields, records, alignment, reports to other hosts."""

INPUTS = ("from", "from_header", "spf", "dkim")


def is_verify(case, table):
    return ("from" in case or "from_header" in case) and "result" in case["expect"]


def verify_differences(expect, verdict, case):
    wrong = []
    results = [expect["result"], *case.get("accept_results", []), *case.get("accept", [])]
    if verdict["result"] not in results:
        return [f"result {verdict['result']} instead of {' or '.join(results)}"]
    for key in ("policy", "record_at", "org", "queries"):
        if key not in expect:
            continue
        accepted = [expect[key], *case.get(f"accept_{key}", [])]
        if verdict[key] not in accepted:
            wrong.append(f"{key} {verdict[key]!r} instead of {expect[key]!r}")
    if "aligned" in expect and sorted(verdict["aligned"]) != sorted(expect["aligned"]):
        wrong.append(f"aligned {verdict['aligned']} instead of {expect['aligned']}")
    return wrong


def is_from(case, table):
    return "from_header" in case and "result" not in case["expect"]


def from_differences(expect, verdict, case):
    domains, listed = verdict["domains"], expect.get("domains")
    if expect.get("malformed"):
        if verdict["malformed"] or (listed is not None and set(domains) <= set(listed)):
            strangers = set(domains) - set(listed if listed is not None else domains)
            return [f"picks {', '.join(strangers)}"] if strangers else []
        return [f"neither malformed nor one of {listed}: {domains}"]
    wrong = []
    if listed is not None and sorted(domains) != sorted(listed):
        wrong.append(f"domains {domains} instead of {listed}")
    if "one" in expect and verdict["one"] != expect["one"]:
        wrong.append(f"one is {verdict['one']}")
    return wrong


def record_differences(expect, verdict, case):
    wrong = []
    for key, value in expect.items():
        if key != "why" and verdict.get(key) != value:
            wrong.append(f"{key} {verdict.get(key)!r} instead of {value!r}")
    return wrong


def plain_differences(expect, verdict, case):
    wrong = []
    for key, value in expect.items():
        if verdict.get(key) not in [value, *(case.get("accept", []) if isinstance(value, bool) else [])]:
            if key == "status" and "accept" in case:
                continue  # part of the other result
            wrong.append(f"{key} {verdict.get(key)!r} instead of {value!r}")
    return wrong


def inputs(*keys):
    return lambda case, table: {key: case[key] for key in keys if key in case}


def has(*keys):
    return lambda case, table: all(key in case for key in keys)


KINDS = [
    ("dmarc", is_verify, inputs(*INPUTS), verify_differences),
    ("from", is_from, inputs("from_header"), from_differences),
    ("dmarc_record", has("record"), inputs("record"), record_differences),
    ("alignment", has("a", "b", "mode"), inputs("a", "b", "mode"), plain_differences),
    ("external", has("policy_domain", "report_host"), inputs("policy_domain", "report_host"), plain_differences),
]
