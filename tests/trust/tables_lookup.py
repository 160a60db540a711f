# SPDX-License-Identifier: Apache-2.0
"""Reverse names, TLS-RPT, MTA-STS. Rows of {"text"} are distinguished by what their table expects of valid rows."""


def expects(table, key):
    return any(key in case.get("expect", {}) for case in table["cases"])


def text_of(key, *signs):
    """True if a table of texts is of a kind: a valid row has `key`, or its title or a text has one of the signs."""
    def belongs(case, table):
        if "text" not in case or "zone" in case:
            return False
        texts = [table.get("of", ""), *(other.get("text", "") for other in table["cases"])]
        return expects(table, key) or any(sign in text for text in texts for sign in signs)
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
    ("tlsrpt_record", text_of("rua", "TLS-RPT", "v=TLSRPT"), inputs("text"), differences),
    ("sts_policy", text_of("mode", "MTA-STS policies", "version:"), inputs("text"), differences),
    ("sts_record", text_of("id", "MTA-STS", "v=STS"), inputs("text"), differences),
]
