# SPDX-License-Identifier: Apache-2.0
"""Faults of the machine, each made on purpose, with what must hold while it
lasts and after: docs/faults.md is their table."""
import errno
import os
import resource
import signal
import smtplib
import socket
import threading
import time

import pytest

from faults import Board, cpu_seconds
from mailboat import Mailboat, PATIENCE, until

LOOK_S, CALM_S = 1.2, 0.4  # for how long processes are looked at, and what they may use then
USER, PASSWORD = "ada@example.org", "secret-of-ada"


class Faulty:
    """A server with a board of faults."""

    def __init__(self, folder, certificates, **options):
        self.board = Board(folder / "board")
        self.server = Mailboat(folder / "server", certificates, environment=self.board.environment(), **options)
        self.server.start()
        self.server.add_user(USER, PASSWORD)

    def send(self, subject, size=1000, to=USER):
        """The code that the message got at its end, or at the step that refused it."""
        body = ("x" * 98 + "\r\n") * (size // 100)
        try:
            with smtplib.SMTP("127.0.0.1", self.server.ports[25], timeout=PATIENCE) as client:
                client.sendmail("bob@elsewhere.net", [to], f"Subject: {subject}\r\n\r\n{body}")
            return 250
        except smtplib.SMTPRecipientsRefused as refusal:
            return refusal.recipients[to][0]
        except smtplib.SMTPResponseException as refusal:
            return refusal.smtp_code

    def send_until_accepted(self, subject, size=1000):
        until(lambda: self.send(subject, size) == 250)

    def arrived(self, subject):
        return len(self.server.arrivals(USER, subject))

    def pid(self, role):
        until(lambda: self.server.processes().get(role))
        return self.server.processes()[role][0]

    def cpu(self):
        return cpu_seconds([self.server.process.pid, *(pid for pids in self.server.processes().values() for pid in pids)])


@pytest.fixture
def faulty(tmp_path, certificates):
    running = []

    def start(**options):
        running.append(Faulty(tmp_path, certificates, **options))
        return running[-1]

    yield start
    for it in running:
        it.board.map[:] = bytes(len(it.board.map))
        it.server.stop()


# ---- the queue's disk ----

@pytest.mark.parametrize("path,size", [("mailboat.db-wal", 1000), ("spool", 100_000), ("content", 100_000)])
def test_after_a_failed_sync_nothing_is_trusted(faulty, path, size):
    """451, never 250; the process that met it ends and its successor begins anew."""
    it = faulty()
    assert it.send("before", size) == 250
    before = it.pid("queue")
    with it.board.fail("fsync", "queue", path):
        assert it.send("while it fails", size) in (451, 421)
        it.server.wait_log("store_failed")
        it.server.wait_log("child_died", "role=queue")
    it.send_until_accepted("after", size)
    assert it.pid("queue") != before
    assert it.arrived("before") == 1 and it.arrived("after") >= 1
    until(lambda: it.server.queue_count() == 0)
    assert it.server.queue_count() == 0


# ---- descriptors ----

def test_without_descriptors_nobody_is_let_in_and_nothing_spins(faulty):
    it = faulty(wrapper=["prlimit", "--nofile=256:256"], extra="smtpd: 1\n")
    callers = [socket.create_connection(("127.0.0.1", it.server.ports[25]), PATIENCE) for _ in range(300)]
    it.server.wait_log("accept_failed")
    used = it.cpu()
    time.sleep(LOOK_S)
    assert it.cpu() - used < CALM_S
    assert len(it.server.lines("accept_failed")) == 1
    for caller in callers[:250]:
        caller.close()
    for caller in callers[250:]:
        with caller:
            assert caller.recv(100).startswith(b"220")
    assert it.send("again") == 250 and it.arrived("again") == 1


@pytest.mark.parametrize("role", ["queue", "auth"])
def test_a_control_socket_without_descriptors_does_not_spin(faulty, role):
    it = faulty()
    with it.board.fail("accept", role, error=errno.EMFILE) as rule:
        path = it.server.data / ("queue/control.sock" if role == "queue" else "auth.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
            caller.connect(str(path))
            until(lambda: rule.failed > 0)
            used = it.cpu()
            time.sleep(LOOK_S)
            assert it.cpu() - used < CALM_S and rule.failed < 20
    assert it.server.cli("queue", "list", "--json").returncode == 0


def test_with_too_few_descriptors_it_says_so_and_ends(faulty, tmp_path, certificates):
    server = Mailboat(tmp_path / "poor", certificates, wrapper=["prlimit", "--nofile=255:255"])
    server.start(wait=False)
    assert server.process.wait(PATIENCE) == os.EX_OSERR
    until(lambda: server.log[-1:] == ["(end of log)"])
    assert "less than 256" in "\n".join(server.log)
    server.stop()


@pytest.mark.parametrize("role", ["local", "relay", "smtpd", "queue"])
def test_a_lost_descriptor_loses_no_content(faulty, role):
    """The file of a large content does not reach who needs it: it is tried
    again, and nothing empty is delivered in its place."""
    it = faulty(extra="queue: {retry: {first: 1s}}\n")
    call = "open" if role == "queue" else "recvfd"
    with it.board.fail(call, role, "content/" if role == "queue" else "", error=errno.EMFILE, skip=2 if role == "queue" else 0, times=1) as rule:
        code = it.send("large", 200_000)
        if role == "smtpd":
            assert code == 451 and rule.failed == 1
            code = it.send("large", 200_000)
        assert code == 250
        texts = it.server.arrivals(USER, "large")
        assert rule.failed == (role != "relay")
    assert len(texts) == 1 and texts[0].count(b"x") >= 196_000
    until(lambda: not list((it.server.data / "queue" / "spool").iterdir()))
    assert not list((it.server.data / "queue" / "spool").iterdir())


@pytest.mark.parametrize("call,role", [("socketpair", "supervisor"), ("recvfd", "smtpd"), ("fork", "supervisor")])
def test_a_child_is_joined_again_once_there_is_room(faulty, call, role):
    it = faulty()
    with it.board.fail(call, role, error=errno.EMFILE if call != "fork" else errno.ENOMEM, times=3) as rule:
        os.kill(it.pid("queue"), signal.SIGKILL)
        until(lambda: rule.failed > 0)
        assert rule.failed > 0
        it.send_until_accepted("after")
    assert it.arrived("after") == 1
