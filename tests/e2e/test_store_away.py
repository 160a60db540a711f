# SPDX-License-Identifier: Apache-2.0
"""Commands that read the queue while the store cannot be read: they report that, and never that the queue is
empty or a message is gone."""
import concurrent.futures
import json
import os
import sqlite3
import subprocess

import pytest

from mailboat import PROGRAM, smtp

ADA, PASSWORD = "ada@example.org", "secret-of-ada"
EX_DATAERR, EX_TEMPFAIL = 65, 75
PAGE = 16384


@pytest.fixture
def stopped(mailboat):
    """A queue with enough messages for pages beyond the first, and one of their IDs."""
    server = mailboat(extra="queue: {hold: true}\n")
    server.add_user(ADA, PASSWORD)
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        for number in range(40):
            client.sendmail(ADA, ["bob@there.net"], f"Subject: {number}\r\n\r\n{'x' * 2000}\r\n")
    server.id = json.loads(server.cli("queue", "list", "--json").stdout)[0]["id"]
    server.stop()
    return server


def asked(server, folder):
    """Runs every command that reads the store concurrently: name and result."""
    mailq = folder / "mailq"
    mailq.symlink_to(PROGRAM)
    calls = {"list": ["queue", "list"], "list --json": ["queue", "list", "--json"], "list --sender": ["queue", "list", "--sender", ADA],
             "list --domain": ["queue", "list", "--domain", "there.net"], "postfix": ["queue", "list", "--postfix-json"],
             "show": ["queue", "show", server.id], "stats": ["queue", "stats"], "explain": ["explain", server.id],
             "retry": ["queue", "retry", server.id], "hold": ["queue", "hold", "--all"], "remove": ["queue", "remove", "--domain", "there.net"]}
    # commands that write must be the store's only writer: one after the other
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = {name: pool.submit(server.cli, *arguments, check=False) for name, arguments in calls.items() if name not in ("retry", "hold", "remove")}
        done["mailq"] = pool.submit(subprocess.run, [mailq, "-C", server.config], capture_output=True, text=True, check=False)
        for name in ("retry", "hold", "remove"):
            done[name] = pool.submit(server.cli, *calls[name], check=False)
            done[name].result()
        return {name: future.result() for name, future in done.items()}


def assert_said(answers, code, words):
    for name, done in answers.items():
        assert done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1, (name, done)
        assert "empty" not in done.stdout and "No matching" not in done.stdout and "not in the queue" not in done.stderr, (name, done)
        if name == "list --json":
            with pytest.raises(ValueError):
                json.loads(done.stdout)


def test_a_locked_store_is_not_an_empty_one(stopped, tmp_path):
    other = sqlite3.connect(stopped.data / "queue" / "mailboat.db", isolation_level=None)
    try:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert_said(asked(stopped, tmp_path), EX_TEMPFAIL, "cannot be reached just now")
    finally:
        other.close()
    assert len(json.loads(stopped.cli("queue", "list", "--json").stdout)) == 40


def test_a_damaged_store_is_not_an_empty_one(stopped, tmp_path):
    database = stopped.data / "queue" / "mailboat.db"
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(database, "r+b") as file:
        for at in range(PAGE, os.path.getsize(database), PAGE):
            file.seek(at)
            file.write(b"\x5a" * 4096)
    assert_said(asked(stopped, tmp_path), EX_DATAERR, "is damaged")
