#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tries situations: builds each world, runs the program there with text and with JSON output, and marks its answer.

trial.py [ID...]   prints the answer and its mark
trial.py --write   tries all, and writes docs/diagnosis.md and marks.txt"""
import argparse
import json
import os
import re
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from situation import Situation, harms, mark

ROOT = Path(__file__).resolve().parents[2]
MARKS_FILE, PAGE = Path(__file__).with_name("marks.txt"), ROOT / "docs" / "diagnosis.md"
MARKS = ["harmful", "nothing", "half", "right"]
BEGIN, END = "<!-- situations: written by tests/situations/trial.py --write -->\n", "<!-- end of situations -->\n"


@dataclass
class Outcome:
    situation: Situation
    text: str
    code: int
    causes: list
    mark: str

    def said(self):
        """Returns the answer in one line: the cause, otherwise the advice, otherwise all of it."""
        lines = [line.strip() for line in self.text.split("\n") if line.strip()]
        for mark in ("cause: ", "also: ", "->"):
            found = [line.removeprefix(mark).strip() for line in lines if line.startswith(mark)]
            if found:
                return found[0]
        return lines[-1] if lines else ""

    def __str__(self):
        found = harms(self.situation, self.text)
        return (f"--- {self.situation.id}: {self.mark}{' ' + repr(found) if found else ''}; exit {self.code}; causes {self.causes}, wanted {self.situation.cause}\n"
                f"{self.situation.title} ({self.situation.source}); an expert: {self.situation.expert}\n$ mailboat {' '.join(self.situation.command)}\n{self.text}")


def diagnosis_in(value):
    """Returns the object with causes and steps anywhere in the JSON; {} if there is none."""
    if isinstance(value, dict):
        if isinstance(value.get("causes"), list):
            return value
        value = list(value.values())
    return next((found for found in map(diagnosis_in, value if isinstance(value, list) else []) if found), {})


def json_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def attempt(situation, folder):
    world = situation.world.up(Path(folder) / situation.id)
    try:
        json_too = situation.command[0] in ("ports", "doctor") or situation.command[0] == "send" and situation.cause
        with ThreadPoolExecutor(2) as pool:
            as_json = pool.submit(world.run, "mailboat", *situation.command, "--json") if json_too else None
            done = world.run("mailboat", *situation.command)
            diagnosis = diagnosis_in(json_of(as_json.result().stdout)) if as_json else {}
    finally:
        world.down()
    text = done.stdout + done.stderr
    causes = [cause["cause"] for cause in diagnosis.get("causes", [])]
    advice = "\n".join(step["text"] for step in diagnosis["steps"][:2]) if diagnosis.get("steps") else text
    return Outcome(situation, text, done.returncode, causes, mark(situation, text, causes, advice, done.returncode))


def attempt_all(situations, side_by_side=6):
    """Tries these situations in one process, which serves all their worlds."""
    with tempfile.TemporaryDirectory(prefix="mbsit-") as folder, ThreadPoolExecutor(side_by_side) as pool:
        return list(pool.map(lambda situation: attempt(situation, folder), situations))


def attempt_numbers(numbers):
    """Tries situations by their index in the table, for another process."""
    from table import SITUATIONS
    return [(outcome.text, outcome.code, outcome.causes, outcome.mark) for outcome in attempt_all([SITUATIONS[at] for at in numbers])]


def marks_written():
    lines = [line.split() for line in MARKS_FILE.read_text().splitlines() if line and not line.startswith("#")]
    return {name: least for name, least in lines}


def missing_source(situation):
    return not re.fullmatch(r"[\w.-]+/[\w.-]+#\d+|https?://\S+", situation.source)


def link(source):
    repository, _, number = source.partition("#")
    return f"[{source}](https://github.com/{repository}/issues/{number})" if number and not source.startswith("http") else f"<{source}>"


def table(outcomes):
    import table as parts
    by_id = {outcome.situation.id: outcome for outcome in outcomes}
    counts = Counter(outcome.mark for outcome in outcomes)
    lines = [f"{len(outcomes)} situations: " + ", ".join(f"{counts[one]} {one}" for one in reversed(MARKS)) + "."]
    for title, situations in parts.PARTS.items():
        lines += ["", f"### {title[0].upper()}{title[1:]}", "", "| situation | source | what is said first | cause | |", "| --- | --- | --- | --- | --- |"]
        for outcome in (by_id[situation.id] for situation in situations):
            said = outcome.said().replace("|", "\\|").replace("<", "&lt;")
            lines.append(f"| {outcome.situation.title} | {link(outcome.situation.source)} | {said} | {', '.join(outcome.causes[:1])} | {outcome.mark} |")
    return "\n".join(lines) + "\n"


def write(outcomes):
    MARKS_FILE.write_text("# How each situation was answered at least; written by tests/situations/trial.py --write.\n" +
                          "".join(f"{outcome.situation.id} {outcome.mark}\n" for outcome in outcomes))
    page = PAGE.read_text()
    PAGE.write_text(page[:page.index(BEGIN)] + BEGIN + "\n" + table(outcomes) + "\n" + page[page.index(END):])


def main():
    from table import GROUP_SIZE, SITUATIONS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("id", nargs="*")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--processes", type=int, default=os.cpu_count() + 1)
    options = parser.parse_args()
    wanted = [at for at, situation in enumerate(SITUATIONS) if not options.id or situation.id in options.id]
    groups = [wanted[at:at + GROUP_SIZE] for at in range(0, len(wanted), GROUP_SIZE)]
    with ProcessPoolExecutor(options.processes) as pool:
        outcomes = [Outcome(SITUATIONS[at], *seen) for at, seen in zip(wanted, [seen for group in pool.map(attempt_numbers, groups) for seen in group])]
    for outcome in outcomes:
        print(outcome, end="\n\n")
    for outcome in outcomes:
        print(f"{outcome.mark:8} {outcome.situation.id:26} {outcome.code:3} {', '.join(outcome.causes)}  (wanted {', '.join(outcome.situation.cause)})")
    print(Counter(outcome.mark for outcome in outcomes))
    if options.write and not options.id:
        write(outcomes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
