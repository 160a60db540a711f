# SPDX-License-Identifier: Apache-2.0
"""Attacks on the server: the transcripts of tests/attacks against a running server. After each file, only the
mail that the transcripts mention exists."""
import os
import sys

import pytest

import transcripts
from mailboat import make_certificates, until
from networks import SERVER, networks

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
    assert not attacked.lines("process_died")


# ---- connections ----

@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_an_address_has_so_many_connections_and_no_more(tmp_path):
    """The limit is over all processes together, and closed connections are free again."""
    knock = f"""import socket
doors = [socket.create_connection(({SERVER!r}, port), 20) for port in (25, 2525) for _ in range(6)]
print(*sorted(door.recv(4).decode().strip() for door in doors))
for door in doors: door.close()
"""
    tls = tmp_path / "tls"
    tls.mkdir()
    with networks(tmp_path / "net") as net:
        server = net.mailboat(tmp_path / "server", make_certificates(tls), limits="limits: {connections_per_client: 5}\n", extra="processes: {smtpd: 3}\n")
        try:
            server.start()
            for _ in range(2):
                # the server may count a connection that was closed a moment ago
                heard = []
                until(lambda: heard.append(net.run(sys.executable, "-c", knock, check=True).stdout.split()) or heard[-1].count("220") == 5)
                assert heard[-1] == ["220"] * 5 + ["421"] * 7, heard
                assert all(once.count("220") <= 5 for once in heard)
            assert server.lines("connection_rejected", "too many connections from this address", "192.0.2.1")
        finally:
            server.stop()
