#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the program has the hardening of the compiler and the linker: position
independent, no lazy binding, read-only relocations (RELRO), no executable stack,
marked jump targets (CET), stack canaries, checked copies (_FORTIFY_SOURCE).
Usage: hardening.py PROGRAM BUILD_FOLDER
"""
import platform
import re
import subprocess
import sys

problems = []


def look(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def want(holds, what):
    if not holds:
        problems.append(what)


def check_segments(program):
    segments = look("readelf", "-lW", program)
    stack = re.search(r"GNU_STACK\s+(?:0x\S+\s+){5}(\S+)", segments)
    want("Type:" not in segments or "Elf file type is DYN" in segments, "it is not position independent (PIE)")
    want(stack and stack.group(1) == "RW", "its stack can be run (GNU_STACK)")
    want("GNU_RELRO" in segments, "the linker's tables can be written to (GNU_RELRO)")
    want(not re.search(r"LOAD\s+(?:0x\S+\s+){5}RWE", segments), "a segment can be written to and run")
    dynamic = look("readelf", "-dW", program)
    want("BIND_NOW" in dynamic or re.search(r"FLAGS_1.*NOW", dynamic), "its symbols are bound late (BIND_NOW)")
    want(re.search(r"FLAGS_1.*PIE", dynamic), "it is not marked as position independent")
    want("TEXTREL" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic, "it has text relocations, or a path for libraries of its own")


def check_code(program, sanitized):
    symbols = look("readelf", "-sW", "--dyn-syms", program)
    want("__stack_chk_fail" in symbols, "there are no canaries (-fstack-protector-strong)")
    want(sanitized or re.search(r"__(memcpy|snprintf|vsnprintf|read|memset)_chk", symbols), "no copy is checked (_FORTIFY_SOURCE)")
    if platform.machine() != "x86_64":
        return
    notes = look("readelf", "-nW", program)
    want("IBT" in notes and "SHSTK" in notes, "it is not marked for IBT and shadow stacks")
    code = look("objdump", "-d", "--no-show-raw-insn", "--disassemble=main", program)
    want("endbr64" in code, "targets of jumps are not marked (-fcf-protection)")


def check_arguments(build):
    """Checks flags of the build that are not visible in the program itself."""
    commands = look("ninja", "-C", build, "-t", "commands", "mailboat")
    first = next(line for line in commands.splitlines() if " -c " in line)
    for argument in ("-fstack-clash-protection", "-fstack-protector-strong"):
        want(argument in first, f"it was built without {argument}")
    want(re.search(r"-D_FORTIFY_SOURCE=[23]", first), "it was built without _FORTIFY_SOURCE")


def main():
    program, build = sys.argv[1], sys.argv[2]
    sanitized = "__asan_init" in look("readelf", "-sW", "--dyn-syms", program)
    check_segments(program)
    check_code(program, sanitized)
    check_arguments(build)
    for problem in problems:
        print(f"{program}: {problem}")
    return 1 if problems else 0


sys.exit(main())
