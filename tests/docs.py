#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the documents: the manual describes every configuration key as
src/config/keys.c does, and every subcommand; it is well formed, no link is
broken, and no sentence advises an option that there is not.
Prints each fault; exit code 1 if there is one."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
wrong = []


SECTIONS = {"config_keys": "KEYS", "listener_keys": "LISTENERS", "route_keys": "ROUTES", "local_user_keys": "LOCAL USERS"}
STRING = r'"(?:[^"\\]|\\.)*"'


def text_of(strings):
    return "".join(s[1:-1] for s in re.findall(STRING, strings)).replace('\\"', '"')


def keys(source, table):
    """Returns each key of a table of src/config/keys.c with its default (None: none) and its description."""
    body = re.search(rf"{table}\[\] = \{{\n(.*?)\n\}};", source, re.S)
    row = rf'^    \{{("[a-z0-9_.]+"), KEY_.*?(NULL|{STRING}),\s+((?:{STRING}\s*)+)\}},$'
    found = re.findall(row, body.group(1), re.M | re.S) if body else []
    return {text_of(key): (None if default == "NULL" else text_of(default), text_of(about)) for key, default, about in found}


def entries(page, section):
    """Returns each key of a section of the manual with the lines of its entry, in order, with duplicates."""
    body = re.search(rf"^\.Sh {section}$(.*?)(?=^\.Sh )", page, re.M | re.S)
    parts = re.split(r"^\.It Ic (\S+).*$", body.group(1) if body else "", flags=re.M)
    return [(key, lines.strip("\n").split("\n")) for key, lines in zip(parts[1::2], parts[2::2])]


def sentence(lines):
    """Returns the start of an entry: the plain lines up to the first that ends with a full stop, without it."""
    said = []
    for line in lines:
        if line.startswith("."):
            break
        said.append(line)
        if line.endswith("."):
            return " ".join(said)[:-1]
    return " ".join(said)


def faults_of_keys(source, page):
    """Checks that the manual has each key once, with the table's description and default; more text may follow."""
    for table, section in SECTIONS.items():
        known, written = keys(source, table), entries(page, section)
        if len(known) < 4:
            yield f"src/config/keys.c: no keys were found in {table}"
        for key in known:
            count = [k for k, _ in written].count(key)
            if count != 1:
                yield f"man/mailboat.conf.5: {section} has the key {key} {count} times"
        for key, lines in written:
            if key not in known:
                yield f"man/mailboat.conf.5: {section}: there is no key {key}"
                continue
            default, about = known[key]
            said = sentence(lines)
            if said[:1].lower() + said[1:] != about[:1].lower() + about[1:]:
                yield f"man/mailboat.conf.5: {section}: {key} begins with '{said}', src/config/keys.c has '{about}'"
            if default is not None and lines[-2:] != ["Default:", f".Ql {default} ."]:
                yield f"man/mailboat.conf.5: {section}: {key} does not end with the default {default}"


def check_keys():
    source, page = (ROOT / "src/config/keys.c").read_text(), (ROOT / "man/mailboat.conf.5").read_text()
    wrong.extend(faults_of_keys(source, page))
    # The check itself finds each kind of difference.
    line = "Port to listen on.\n"
    for name, fault in {"a key is missing": page.replace(".It Ic queue.hold ", ".It Ic queue.held ", 1),
                        "a key is there twice": page.replace(".It Ic queue.hold ", ".It Ic queue.hold Pq true\n.It Ic queue.hold ", 1),
                        "a description differs": page.replace(line, "The port.\n", 1),
                        "a description has more words": page.replace(line, "Port to listen on always.\n", 1),
                        "a default differs": page.replace(".Ql 50MiB .", ".Ql 10MiB .", 1),
                        "a section is missing": page.replace(".Sh ROUTES", ".Sh ROADS", 1)}.items():
        if fault == page or not any(faults_of_keys(source, fault)):
            wrong.append(f"tests/docs.py: it does not notice that {name}")
    if any(faults_of_keys(source, page.replace(line, line + "More about it.\n", 1))):
        wrong.append("tests/docs.py: the manual may say more after a description")


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
    """Checks that the tables of docs/ports.md match the program."""
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


def check_rooms():
    """Checks that the table of folders in ARCHITECTURE.md has each folder, and that the files of a row are in it."""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    rows = dict(re.findall(r"^\| `(src/[\w/]+)/` \| (.*?) \|", page, re.M))
    for parent in ("src", "src/core"):
        for folder in sorted(path for path in (ROOT / parent).iterdir() if path.is_dir()):
            if f"{parent}/{folder.name}" not in rows:
                wrong.append(f"ARCHITECTURE.md: {parent}/{folder.name} has no row")
    for folder, row in rows.items():
        names = {file.name for file in (ROOT / folder).rglob("*")}
        names |= {name.rsplit(".", 1)[0] for name in names}
        if not names:
            wrong.append(f"ARCHITECTURE.md: {folder} is not there")
        for name in re.findall(r"`([\w./]+)`", row):
            if name.rstrip("/") not in names and not (ROOT / "src" / name).exists():
                wrong.append(f"ARCHITECTURE.md: {folder} has no {name}")


def check_flags():
    """Checks that each flag that a sentence of the program advises with a command is one that a command reads."""
    sources = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.c"))
    known = set(re.findall(r'OPTION_[A-Z]+,\s*"([a-z0-9-]+)"', sources)) | {"help"}
    if len(known) < 40:
        wrong.append("src: the options of the commands were not found there")
    texts = [text_of(strings) for strings in re.findall(rf"(?:{STRING}\s*)+", sources)]
    texts += [path.read_text() for path in (ROOT / "src").rglob("*.json")]
    for text in texts:
        for advice in re.findall(r"mailboat [a-z]+[^;.()]*", text):
            for flag in re.findall(r"--([a-z][a-z0-9-]*)", advice):
                if flag not in known:
                    wrong.append(f"src: no command has the option --{flag}: {advice[:80]}")


for check in (check_keys, check_commands, check_flags, check_manual, check_providers, check_links, check_rooms):
    check()
print("\n".join(wrong) if wrong else "the documents are true")
sys.exit(1 if wrong else 0)
