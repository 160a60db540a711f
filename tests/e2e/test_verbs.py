# SPDX-License-Identifier: Apache-2.0
"""Each verb of a subcommand accepts only its own flags and arguments: the whole matrix of verbs and flags of
the tables in src/cli. An error is one line with exit code 64, before anything is opened or changed."""
import re
import subprocess
from pathlib import Path

import pytest

from mailboat import PROGRAM

SOURCES = Path(__file__).resolve().parents[2] / "src/cli"
ROW = re.compile(r'\{"(\w+)", "([^"]*)",\s*((?:"[^"]*"|\s|FILTERS)+),\s*\w+\}')
RULE = re.compile(r'\{OPTION_(\w+), "([\w-]+)", [^,]+, &?[\w.>-]+\}')


def tables():
    """Returns command -> ({verb: (arguments, flags)}, {flag: takes a value})."""
    found = {}
    for file in sorted(SOURCES.rglob("*.c")):
        text = file.read_text()
        name = re.search(r'\.name = "(\w+)"', text)
        if name is None or not re.search(r"options_run_verb(_or)?\(&", text):
            continue
        filters = re.search(r'#define FILTERS "([^"]*)"', text)
        verbs = {}
        for verb, arguments, flags in ROW.findall(text):
            flags = flags.replace("FILTERS", f'"{filters[1]}"' if filters else "")
            verbs[verb] = (arguments.split(), "".join(re.findall(r'"([^"]*)"', flags)).split())
        found[name[1]] = (verbs, {flag: kind != "FLAG" for kind, flag in RULE.findall(text) if flag != "config"})
    return found


TABLES = tables()
USUAL = {"reports"}  # commands that run a verb when none is given
VERBS = [(command, verb) for command, (verbs, _) in TABLES.items() for verb in verbs]


def refused(*words):
    done = subprocess.run([str(PROGRAM), *words, "--config", "/nonexistent/mailboat.conf"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 64, (words, done.returncode, done.stderr)
    assert done.stdout == "" and done.stderr.count("\n") == 1, (words, done.stdout, done.stderr)
    assert done.stderr.startswith(f"mailboat {words[0]}: "), done.stderr
    return done.stderr


def fitting(arguments):
    """Returns as many words as the verb requires."""
    return [f"word{i}@example.org" for i, word in enumerate(arguments) if not word.startswith("[")]


def test_the_tables_are_found():
    assert set(TABLES) == {"user", "alias", "domain", "key", "queue", "config", "mailboxes", "import", "trust", "dkim", "reports"}
    assert len(VERBS) >= 32
    for command, (verbs, flags) in TABLES.items():
        for verb, (_, own) in verbs.items():
            assert set(own) <= set(flags), (command, verb)


@pytest.mark.parametrize("command, verb", VERBS)
def test_a_verb_refuses_the_flags_of_others(command, verb):
    verbs, flags = TABLES[command]
    arguments, own = verbs[verb]
    for flag in sorted(set(flags) - set(own)):
        said = refused(command, verb, *fitting(arguments), f"--{flag}", *(["x"] if flags[flag] else []))
        assert f"unexpected option --{flag} for {verb}" in said


@pytest.mark.parametrize("command, verb", VERBS)
def test_a_verb_refuses_what_is_missing_and_what_is_too_much(command, verb):
    arguments, _ = TABLES[command][0][verb]
    needed = fitting(arguments)
    if needed:
        assert f"missing {arguments[len(needed) - 1]} for {verb}" in refused(command, verb, *needed[:-1])
    if not any("..." in word for word in arguments):
        surplus = refused(command, verb, *(["x"] * len(arguments)), "one-more")
        assert f"unexpected argument 'one-more' for {verb}" in surplus


@pytest.mark.parametrize("command", TABLES)
def test_a_verb_that_is_missing_or_unknown_is_answered_with_all_there_are(command):
    verbs, _ = TABLES[command]
    for said in ([] if command in USUAL else [refused(command)]) + [refused(command, "frobnicate")]:
        for verb, (arguments, _) in verbs.items():
            assert " ".join([verb, *arguments]) in said, (verb, said)


# the usage has one word for all of them
GROUPED = {"user": {"password-file", "password-stdin"}, "queue": {"sender", "recipient", "domain", "older", "younger", "reason", "state"}}


@pytest.mark.parametrize("command", TABLES)
def test_help_and_manual_have_each_verb_and_flag(command):
    verbs, flags = TABLES[command]
    text = subprocess.run([str(PROGRAM), command, "--help"], capture_output=True, text=True, check=True).stdout
    manual = (SOURCES.parents[1] / "man/mailboat.1").read_text().replace("\\-", "-")
    for verb in verbs:
        if (command, verb) != ("mailboxes", "warn"):  # only called by Dovecot
            assert re.search(rf"\b{verb}\b", text), verb
            assert re.search(rf"\b{verb}\b", manual), verb
    for flag in flags:
        assert f"--{flag}" in text, flag
    usage = text.partition("\n\n")[0]
    for _, own in verbs.values():
        for flag in set(own) - {"config"} - GROUPED.get(command, set()):
            assert f"--{flag}" in usage, flag
