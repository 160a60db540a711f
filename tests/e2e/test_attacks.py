# SPDX-License-Identifier: Apache-2.0
"""What attackers say, on the wire: the transcripts of tests/attacks against a
whole server. After each file no mail is there but what the transcripts say."""
import pytest

import transcripts
from mailboat import until

USER = "ada@example.org"


@pytest.fixture(scope="module")
def attacked(shared_server):
    return shared_server


def stored(server):
    return len(server.mail(USER))


@pytest.mark.parametrize("path", sorted(transcripts.FOLDER.glob("*.smtp")), ids=lambda path: path.stem)
@pytest.mark.parametrize("pieces", [0, 7], ids=["at once", "in pieces"])
def test_nothing_comes_of_it(attacked, path, pieces):
    before, expected = stored(attacked), 0
    for dialogue in transcripts.dialogues(path):
        if dialogue.can_be_replayed(pieces):
            transcripts.play(attacked, dialogue, pieces)
            expected += dialogue.messages
    until(lambda: attacked.queue_count() == 0)
    assert attacked.queue_count() == 0 and stored(attacked) - before == expected
    assert not [text for text in attacked.mail(USER) if text.startswith(b"Return-Path: <evil")]
    assert not attacked.lines("child_died")
