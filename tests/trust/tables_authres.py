# SPDX-License-Identifier: Apache-2.0
"""The tables of Authentication-Results: the results of a field, and whether a border server must remove it."""


def parse_belongs(case, table):
    return "field" in case and isinstance(case.get("expect"), dict) and "valid" in case["expect"]


def strip_belongs(case, table):
    return "field" in case and "our_id" in case and "removed" in case


def row(case, table):
    return {key: case[key] for key in ("field", "our_id") if key in case}


def parse_differences(expect, verdict, case):
    return [f"{key} is {verdict.get(key)!r}, expected {value!r}" for key, value in expect.items()
            if verdict.get(key) != value]


def strip_differences(expect, verdict, case):
    return [f"{key} is {verdict[key]}, expected {case['removed']}" for key in ("removed", "claims")
            if verdict[key] != case["removed"]]


KINDS = [("authres", parse_belongs, row, parse_differences), ("authres", strip_belongs, row, strip_differences)]
