# SPDX-License-Identifier: Apache-2.0
"""What the program says in each situation: nothing that is worse than marks.txt has it, and nothing new that does
harm. Better answers are written there by tests/situations/trial.py --write."""
import os

import pytest

from table import GROUPS, SITUATIONS
from trial import MARKS, attempt, attempt_all, marks_written, missing_source

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_the_answers_of_a_group(group, tmp_path):
    written, wrong = marks_written(), []
    for outcome in attempt_all(GROUPS[group]):
        least = written.get(outcome.situation.id, "right")
        if MARKS.index(outcome.mark) < MARKS.index(least):  # once more: the machine may have been busy
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
    """Nothing harmful, and nine in ten are right. When it passes, this mark goes."""
    written = list(marks_written().values())
    assert "harmful" not in written
    assert written.count("right") >= 0.9 * len(SITUATIONS)
