#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The documents are true: every configuration key and every subcommand is in
the manual, the manual is well formed, and no link leads nowhere.
Prints what is wrong; exit code 1 then."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
wrong = []


def keys():
    text = (ROOT / "src/config/keys.c").read_text()
    top, listeners = text.split("listener_keys[]")
    return re.findall(r'^    \{"([a-z0-9_.]+)", KEY_', top, re.M), re.findall(r'^    \{"([a-z_.]+)", KEY_', listeners, re.M)


def check_keys():
    page = (ROOT / "man/mailboat.conf.5").read_text()
    top, listeners = keys()
    if not top or not listeners:
        wrong.append("src/config/keys.c: no keys were found there")
    for key in top + listeners:
        if f".It Ic {key} " not in page:
            wrong.append(f"man/mailboat.conf.5: the key {key} is missing")
    for key in re.findall(r"^\.It Ic (\S+)", page, re.M):
        if key not in top + listeners:
            wrong.append(f"man/mailboat.conf.5: there is no key {key}")


def check_commands():
    table = (ROOT / "src/cli/main.c").read_text().split("commands[] = {", 1)[1].split("NULL", 1)[0]
    page, readme = (ROOT / "man/mailboat.1").read_text(), (ROOT / "README.md").read_text()
    for command in re.findall(r"&(\w+)_command", table):
        if f".It Ic {command} " not in page:
            wrong.append(f"man/mailboat.1: the command {command} is missing")
        if f"mailboat {command}" not in readme and f"`{command}`" not in readme:
            wrong.append(f"README.md: the command {command} is missing")


def check_manual():
    for page in sorted((ROOT / "man").glob("mailboat*")):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True)
        if done.returncode != 0 or done.stdout.strip():
            wrong.append(f"{page.name}: {done.stdout.strip()}")


def check_providers():
    """The tables of docs/ports.md are what the program knows."""
    text = (ROOT / "src/core/port/provider_table.c").read_text()
    page = (ROOT / "docs/ports.md").read_text()
    known = re.findall(r'^    \{"([^"]+)",\s+"[^"]*",\s+"([^"]*)",\s+\{([\d, ]+)\},\s+\{([\d, ]+)\}', text, re.M)
    if len(known) < 80:
        wrong.append("src/core/port/provider_table.c: the table was not found there")
    for name, hosts, starttls, implicit in known:
        row = f"| {name} | {hosts.replace(',', ', ') or 'none'} | {'none' if starttls == '0' else starttls} | {'none' if implicit == '0' else implicit} |"
        if row not in page:
            wrong.append(f"docs/ports.md: the provider's row is not: {row}")
    for network in re.findall(r'^    \{"([^"]+)",', (ROOT / "src/core/port/network_table.c").read_text(), re.M):
        if f"| {network} |" not in page:
            wrong.append(f"docs/ports.md: the network {network} is missing")
    for table in ("web_host", "interceptor"):
        for name in re.findall(r'^    \{"([^"]+)",', (ROOT / f"src/core/port/{table}.c").read_text(), re.M):
            if f"| {name} |" not in page:
                wrong.append(f"docs/ports.md: {name} of {table}.c is missing")


def check_links():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                wrong.append(f"{page.relative_to(ROOT)}: the link {target} leads nowhere")
        for target in re.findall(r"`((?:src|tests|fuzz|docs|bench|tools|packaging)/[\w./-]+)`", page.read_text()):
            if not (ROOT / target).exists():
                wrong.append(f"{page.relative_to(ROOT)}: {target} is not there")


for check in (check_keys, check_commands, check_manual, check_providers, check_links):
    check()
print("\n".join(wrong) if wrong else "the documents are true")
sys.exit(1 if wrong else 0)
