#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the sanitizers of a build find what is wrong: planted.py PROGRAM, with planted.c as the program.
Each kind of mistake must end it with a report of that kind, and it must end well without one."""
import subprocess
import sys

REPORTS = {"address": "ERROR: AddressSanitizer: heap-buffer-overflow", "undefined": "runtime error: member access within misaligned address",
           "leak": "ERROR: LeakSanitizer: detected memory leaks", "none": ""}
wrong = 0
for kind, report in REPORTS.items():
    done = subprocess.run([sys.argv[1], kind], capture_output=True, text=True, errors="replace")
    if (done.returncode != 0) != bool(report) or report not in done.stderr:
        print(f"{kind}: exit {done.returncode}, expected {report or 'no report'!r}\n{done.stderr[-2000:]}")
        wrong += 1
sys.exit(wrong > 0)
