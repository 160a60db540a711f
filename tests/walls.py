#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the include rules of ARCHITECTURE.md: which folder may include which (also
inside core/), that core/ does no I/O (by its includes and by the undefined symbols
of its object code), that only store/ knows the kinds of store, that each include
begins at src/, that the order of submission ports is in one place, and that each
source names its licence.
Usage: walls.py BUILD_FOLDER
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

# folder -> the other folders that it may include
MAY_INCLUDE = {
    "base": set(),
    "core": {"base"},
    "io": {"base", "core"},
    "store": {"base", "core", "io"},
    "ipc": {"base", "core"},
    "config": {"base", "core"},
    "dial": {"base", "core", "io"},
    "queue": {"base", "core", "io", "store", "ipc"},
    "run": {"base", "core", "io", "ipc", "config"},
    "service": {"base", "core", "io", "store", "ipc", "config", "run", "dial", "queue"},
    "cli": {"base", "core", "io", "store", "ipc", "config", "run", "service", "dial", "queue"},
}
# folder inside core/ -> the other folders inside core/ that it may include
CORE_MAY_INCLUDE = {
    "dns": set(),
    "smtp": {"dns"},
    "sasl": {"smtp"},
    "event": {"smtp", "trust"},
    "queue": {"reply"},
    "reply": set(),
    "route": {"dns", "smtp"},
    "message": {"dns", "smtp", "queue", "reply"},
    "client": {"dns", "smtp", "sasl", "message", "route"},
    "server": {"smtp", "sasl", "message"},
    "port": {"dns", "client", "route", "smtp"},
    "diagnosis": {"dns", "port", "route", "message", "reply"},
    "domain": {"dns", "route", "trust"},
    "text": {"dns", "smtp", "port", "queue"},
    "import": {"port"},
    "http": {"message"},
    "trust": {"dns", "smtp", "message", "route"},
}
# System headers allowed in core/: types and text, nothing with side effects.
CORE_SYSTEM = {"assert.h", "ctype.h", "limits.h", "math.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h", "string.h", "sysexits.h"}
# Symbols that the object code of core/ may use: memory, text, arithmetic, and base/.
CORE_SYMBOLS = re.compile(
    r"^(mem(cpy|move|set|cmp|chr|rchr|mem)|__mem\w+_chk|explicit_bzero|str(len|n?cmp|chr|rchr|nlen|spn|cspn|pbrk)|"
    r"__explicit_bzero_chk|free|qsort|bsearch|pow|exp|log|ldexp|floor|fmod|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|"
    r"(bytes|buffer|arena|map|memory|error|ascii|count)_\w+)$")
problems = []


def check_includes():
    for room, allowed in MAY_INCLUDE.items():
        for file in sorted((SRC / room).rglob("*.[ch]")):
            where = file.relative_to(ROOT)
            text = file.read_text()
            if "SPDX-License-Identifier: Apache-2.0" not in text.split("\n", 1)[0]:
                problems.append(f"{where}: the first line does not name the licence")
            for kind, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.M):
                if kind == '"':
                    other = name.split("/", 1)[0]
                    if other != room and other not in allowed:
                        problems.append(f"{where}: {room}/ may not include {name}")
                    elif re.match(r"store/queue/(sqlite|memory|store_kind)", name) and room != "store":
                        problems.append(f"{where}: only store/ knows which kinds of store there are; not {name}")
                    elif not (SRC / name).is_file():
                        problems.append(f"{where}: includes {name}, which is not below src/")
                    elif room == other == "core":
                        check_core_room(where, name)
                elif room == "core" and name not in CORE_SYSTEM:
                    problems.append(f"{where}: core/ may not include <{name}>")


def check_core_room(where, name):
    inner, other = where.parts[2], name.split("/")[1]
    if other != inner and other not in CORE_MAY_INCLUDE.get(inner, set()):
        problems.append(f"{where}: core/{inner}/ may not include {name}")


def check_ports():
    """Checks that the order of submission ports is only in core/port: no other file names two, except in prose."""
    for file in sorted(SRC.rglob("*.[ch]")):
        if (SRC / "core" / "port") in file.parents:
            continue
        code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", file.read_text(), flags=re.S)
        code = re.sub(r'"(?![\d,:. ]*")(?:[^"\\\n]|\\.)*"', '""', code)  # prose strings; not "587,2525"
        named = set(re.findall(r"(?<![\w.])(?:587|2525|465)(?!\w)", code))
        if len(named) > 1:
            problems.append(f"{file.relative_to(ROOT)}: names the ports {', '.join(sorted(named))}; "
                            "their order is core/port/port_order.h")


def check_symbols(build):
    libraries = sorted((build / "src" / "core").rglob("*.a"))
    output = subprocess.run(["objdump", "-t", *map(str, libraries)], capture_output=True, text=True, check=True).stdout
    defined, needed, where = set(), {}, ""
    for line in output.splitlines():
        match = re.match(r"(\S+):\s+file format", line)
        if match:
            where = match.group(1)
            continue
        match = re.match(r"[0-9a-f]{8,}\s(.{7})\s(\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$", line)
        if not match:
            continue
        flags, section, symbol = match.groups()
        if section == "*UND*":
            needed.setdefault(symbol, where)
            continue
        defined.add(symbol)
        # .data.rel.ro is constant once loaded; these can be written to.
        if "O" in flags and re.match(r"\.(data|bss)(?!\.rel\.ro)|\*COM\*|\.t(data|bss)", section):
            problems.append(f"{where}: core/ has a variable of its own: {symbol}")
    for symbol, file in sorted(needed.items()):
        if symbol not in defined and not CORE_SYMBOLS.match(symbol):
            problems.append(f"{file}: core/ needs {symbol}, which acts on the world")


def main():
    check_includes()
    check_ports()
    check_symbols(Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
