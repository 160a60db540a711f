# SPDX-License-Identifier: Apache-2.0
"""Reverse names, TLS-RPT, MTA-STS. Rows of {"text"} are told apart by what their table expects of valid ones."""


def expects(table, key):
    return any(key in case.get("expect", {}) for case in table["cases"])


def text_of(key, name):
    """A table of texts: of those of which a valid row has `key`, or that say so themselves."""
    def belongs(case, table):
        return "text" in case and "zone" not in case and (expects(table, key) or name in table.get("of", ""))
    return belongs


def is_iprev(case, table):
    return "ip" in case and "sender" not in case and "helo" not in case


def is_tlsrpt(case, table):
    return "domain" in case and ("rua" in case["expect"] or "temporary" in case["expect"])


def inputs(*keys):
    return lambda case, table: {key: case[key] for key in keys if key in case}


def differences(expect, verdict, case):
    accepted = case.get("accept", [])
    return [f"{key} {verdict.get(key)!r} instead of {value!r}" for key, value in expect.items()
            if key not in ("why", "note") and verdict.get(key) != value and verdict.get(key) not in accepted]


KINDS = [
    ("iprev", is_iprev, inputs("ip"), differences),
    ("tlsrpt", is_tlsrpt, inputs("domain"), differences),
    ("tlsrpt_record", text_of("rua", "TLS-RPT"), inputs("text"), differences),
    ("sts_policy", text_of("mode", "MTA-STS policies"), inputs("text"), differences),
    ("sts_record", text_of("id", "MTA-STS"), inputs("text"), differences),
]
