# SPDX-License-Identifier: Apache-2.0
"""Headers that take several packets on their way between the processes, while processes are replaced or killed: no
message is lost, none of other servers is accepted unjudged, and outgoing mail goes on being signed."""
import contextlib
import json
import os
import signal
import threading
import time

import pytest

from mailboat import until
from name_server import NameServer
from plain_peer import away_to
from signing_keys import Keys, reload
from test_signing import ADA, MODERN, PASSWORD, signature_of, simple, submit
from test_trust_port25 import FORGER, HONEST, RECORDS, Judging, letter, send

KIB = 1024


def filled(octets):
    """Returns header lines of about so many octets."""
    return ("X-Filler: " + "y" * 900 + "\r\n") * (octets // 912)


def test_reloads_within_messages_of_other_servers(tmp_path, certificates):
    """Unjudged, a message would be accepted, whatever its sender and its size."""
    names = NameServer(tmp_path, RECORDS)
    server = Judging(tmp_path / "server", certificates, extra=names.resolver, trust="").start()
    server.add_user("ada@example.org", "secret-of-ada")
    sizes, stop, replies = [100 * KIB, 180 * KIB, 240 * KIB], threading.Event(), {"honest": [], "forged": [], "large": []}

    def go_on(kind, number):
        client = FORGER if kind == "forged" else HONEST
        for i in range(1000):
            if stop.is_set():
                return
            octets = 400 * KIB if kind == "large" else sizes[i % len(sizes)]
            subject = f"{kind}-{number}-{i}"
            replies[kind].append((subject, *send(server, client, "a@bank.test", letter("a@bank.test", subject, filled(octets)))))

    senders = [threading.Thread(target=go_on, args=(kind, number)) for number in range(2) for kind in replies]
    for one in senders:
        one.start()
    try:
        for _ in range(2):
            count = {kind: len(some) for kind, some in replies.items()}
            until(lambda: all(len(some) >= count[kind] + 3 for kind, some in replies.items()))
            server.cli("reload")
    finally:
        stop.set()
        for one in senders:
            one.join()
    assert {code for _, code, _ in replies["honest"]} == {250}
    assert {(code, text[:7]) for _, code, text in replies["forged"]} == {(550, "5.7.26 ")}
    assert {(code, text[:6]) for _, code, text in replies["large"]} == {(550, "5.6.0 ")}
    until(lambda: len(server.mail("ada@example.org")) == len(replies["honest"]))
    arrived = server.mail("ada@example.org")
    assert len(arrived) == len(replies["honest"])
    assert all(b"dmarc=pass" in message[:2000] for message in arrived), "one was not judged"
    assert not server.lines("process_died")
    server.stop()
    names.stop()


def are_in_progress(server, count):
    """True if so many deliveries are in progress."""
    return len(json.loads(server.cli("queue", "list", "--state", "in_progress", "--json").stdout or "[]")) >= count


@pytest.mark.parametrize("end", ["keys", "kill"])
def test_a_process_that_signs_ends_within_a_message(mailboat, peer, end):
    """It is stopped while relay sends it headers, of which it then has some packets."""
    count = 4
    peer.knows = list(MODERN)
    server = mailboat(relay=away_to(peer.port))
    server.add_user(ADA, PASSWORD)
    server.keys = Keys(server).add("example.org")
    reload(server)
    sign, = server.processes()["sign"]
    os.kill(sign, signal.SIGSTOP)
    try:
        for i in range(count):
            submit(server, filled(200 * KIB).encode() + simple(f"large-{i}"), [f"bob@domain-{i}.net"])
        until(lambda: are_in_progress(server, count))
        if end == "kill":
            os.kill(sign, signal.SIGKILL)
        else:  # other keys sign: sign is replaced, and relay stays
            (server.data / "keys" / "version").write_text("other keys")
            time.sleep(5)  # no event tells that sign was told to end; if it was not, this tests less
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(sign, signal.SIGCONT)
    until(lambda: len(peer.letters) >= count)
    assert len(peer.letters) == count
    for _, content in peer.letters:
        assert signature_of(content)["d"] == "example.org"
    submit(server, simple("after"))
    until(lambda: len(peer.letters) > count)
    assert signature_of(peer.letters[count][1])["d"] == "example.org"
    until(lambda: sign not in server.processes().get("sign", []))
    assert not server.lines("deferred")
