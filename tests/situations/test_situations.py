# SPDX-License-Identifier: Apache-2.0
"""The program's answer in each situation: no mark may be worse than in marks.txt, and no answer may be
harmful. tests/situations/trial.py --write records better answers."""
import os

import pytest

from servers import SSH, Https, Smtp, smtps
from situation import CLOUDS, Situation, bad_ports, ports
from table import GROUPS, SITUATIONS
from trial import MARKS, attempt, attempt_all, marks_written, missing_source
from world import Host, World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_the_answers_of_a_group(group, tmp_path):
    written, wrong = marks_written(), []
    for outcome in attempt_all(GROUPS[group]):
        least = written.get(outcome.situation.id, "right")
        if MARKS.index(outcome.mark) < MARKS.index(least):  # again: the machine may have been busy
            outcome = attempt(outcome.situation, tmp_path)
        if MARKS.index(outcome.mark) < MARKS.index(least):
            wrong.append(f"{outcome}\nmarks.txt has: {least}")
    assert not wrong, "\n".join(wrong)


def test_the_table_is_large_and_each_row_has_a_source():
    ids = [situation.id for situation in SITUATIONS]
    assert len(ids) == len(set(ids)) >= 80 and sum(situation.healthy for situation in SITUATIONS) >= 20
    assert not [situation.id for situation in SITUATIONS if missing_source(situation)]


def test_every_situation_is_marked():
    assert set(marks_written()) == {situation.id for situation in SITUATIONS}


def test_the_goal():
    """Nothing is harmful, and nine in ten are right."""
    written = list(marks_written().values())
    assert "harmful" not in written
    assert written.count("right") >= 0.9 * len(SITUATIONS)


@pytest.mark.parametrize("port, ask, step", [(587, [], "465"), (587, [587], "465|another port|port"), (465, [], "587")])
def test_ssh_on_a_port_of_submission(tmp_path, port, ask, step):
    """No public report: the port was given to sshd, for example to pass a firewall. The answer advises the
    other port."""
    others = {587: Smtp(), 465: smtps(), 443: Https()}
    host = "mail.tunnel.example"
    target = f"{host}:{ask[0]}" if ask else host
    situation = Situation(f"ssh-{port}-{len(ask)}", "SSH answers", "", ports(target), World(Host(host, "163.172.10.77", ports={**others, port: SSH})),
                          "An SSH server listens there.", ("other-service",), says="SSH", step=step, harm=(*CLOUDS, *bad_ports(port)))
    outcome = attempt(situation, tmp_path)
    assert outcome.mark == "right", (outcome.causes, outcome.text)
