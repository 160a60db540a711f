#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Signs messages with src/core, and has dkimpy (python3-dkim) verify the DKIM signatures and ARC chains.

Usage: others.py TRUST_JUDGE; exits 77 if dkimpy is not installed.
"""
import base64
import json
import subprocess
import sys
from pathlib import Path

try:
    import dkim
except ImportError:
    print("python3-dkim is not installed")
    sys.exit(77)

ROOT = Path(__file__).resolve().parent.parent
KEYS = ROOT / "suites" / "trust" / "dkim" / "keys"
SELECTORS = {"s1": "rsa2048", "e1": "ed25519"}
MESSAGES = [
    b"From: Ada <ada@harbour.example>\r\nTo: b@quay.example\r\nSubject: Hi   there\r\n\r\nHello  you \r\n\r\n\r\n",
    b"From: =?utf-8?q?=C3=84da?= <ada@harbour.example>\r\nTo: b@quay.example,\r\n\tc@quay.example\r\nSubject:\r\n  folded\r\n"
    b"List-Unsubscribe: <https://a/b>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n\xc3\xa4 \t b\r\n.\r\n..\r\n",
    b"From: ada@harbour.example\r\n\r\n",
]


def ask(judge, kind, message, selector, **more):
    row = {"kind": kind, "message_base64": base64.b64encode(message).decode(), "now": 1700000000, "domain": "harbour.example",
           "selector": selector, "key": (KEYS / f"{SELECTORS[selector]}.pem").read_text(), **more}
    done = subprocess.run([judge], input=json.dumps(row).encode() + b"\n", stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def keys():
    """Returns the records of the tables, which have these keys."""
    zone = {}
    for case in json.loads((ROOT / "suites" / "trust" / "dkim" / "made.json").read_text())["cases"]:
        if case["name"] == "RSA and Ed25519":
            zone = {name: types["TXT"][0] for name, types in case["zone"].items()}
    return {name: (text if isinstance(text, str) else "".join(text)).encode() for name, text in zone.items()}


def main():
    zone, wrong = keys(), 0

    def dns(name, timeout=5):
        return zone.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    for number, message in enumerate(MESSAGES):
        for selector in SELECTORS:
            signed = ask(sys.argv[1], "dkim_sign", message, selector)["field"].encode() + message
            good = dkim.verify(signed, dnsfunc=dns) and not dkim.verify(signed + b"more\r\n", dnsfunc=dns)
            print(f"message {number}, {SELECTORS[selector]}: {'verified' if good else 'WRONG'}")
            wrong += not good
        sealed = ask(sys.argv[1], "arc_seal", message, "s1", names="from:subject:from", results="mx.example; spf=pass")
        good = dkim.arc_verify(sealed["sealed"].encode() + message, dnsfunc=dns)[0] == b"pass"
        print(f"message {number}, sealed: {'verified' if good else 'WRONG'}")
        wrong += not good
    return 1 if wrong else 0


sys.exit(main())
