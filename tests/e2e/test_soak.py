# SPDX-License-Identifier: Apache-2.0
"""A short bench/soak: all kinds of clients concurrently for some seconds, with a
reload in the middle; many connections; some thousand messages waiting.
docs/load.md has the long runs."""
import sys

import pytest

from mailboat import ROOT

sys.path.append(str(ROOT / "bench"))
import soak_connections  # noqa: E402
import soak_mixed  # noqa: E402

pytestmark = pytest.mark.alone


def test_mixed_traffic_loses_no_message_no_descriptor_and_leaves_no_file(tmp_path):
    assert soak_mixed.run(tmp_path / "soak", minutes=6 / 60, turns_a_second=60) == []


def test_a_crowd_of_connections_costs_nothing_while_it_is_silent(tmp_path):
    assert soak_connections.run(tmp_path / "soak", count=500, active_s=1, silent_s=2) == []
