# SPDX-License-Identifier: Apache-2.0
"""Faults of the machine, each made on purpose, with what must hold while it
lasts and after: docs/faults.md is their table."""
import errno
import os
import smtplib
import threading
import time

import pytest

from faults import Board, cpu_seconds, limit_now
from mailboat import Mailboat, PATIENCE, until

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
