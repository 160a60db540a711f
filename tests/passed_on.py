#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares, by Python's email, the stored and the relayed form of each message that
fuzz_passed_on makes of its corpus: line by line and field by field the same.
Usage: passed_on.py FUZZ_PASSED_ON INPUT..."""
import email
import email.policy
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def pairs(data):
    while data:
        sizes, _, data = data.partition(b"\n")
        stored, passed = map(int, sizes.split())
        yield data[:stored], data[stored:stored + passed]
        data = data[stored + passed:]


def read(content):
    """Returns the fields, without the content encoding and the MIME-Version that it needs, which change if the
    next server does not support the content; and the decoded contents."""
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    fields = [(name, str(value)) for name, value in message.raw_items() if name.lower() not in ("content-transfer-encoding", "mime-version")]
    return fields, [part.get_payload(decode=True) for part in message.walk()]


program, *inputs = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    shown = Path(folder, "shown")
    shown.touch()
    subprocess.run([program, *inputs], check=True, env={**os.environ, "FUZZ_SHOW": str(shown)})
    messages = list(pairs(shown.read_bytes()))
binary = [(stored, passed) for stored, passed in messages if re.search(rb"(?<!\r)\n|\r(?!\n)", stored)]  # encoded if the peer does not support it
others = [m for m in messages if m not in binary]
same = sum(read(stored) == read(passed) or read(stored + b"\r\n") == read(passed) for stored, passed in others)
print(f"{len(others)} messages, {same} read the same; {len(binary)} binary ones")
sys.exit(0 if others and same == len(others) else 1)
