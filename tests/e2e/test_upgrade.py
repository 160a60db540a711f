# SPDX-License-Identifier: Apache-2.0
"""A queue left by an earlier release, with its schema: the current server delivers all of it."""
import os
import re
import shutil
import sqlite3

import pytest

from mailboat import ROOT, smtp, until
from plain_peer import away_to

ADA, BOB, PASSWORD = "ada@example.org", "bob@there.net", "secret-of-ada"

# The schema of the first release, and the additions of each later one.
FIRST = """
CREATE TABLE message(id INTEGER PRIMARY KEY, arrived_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, size INTEGER NOT NULL, flags INTEGER NOT NULL,
 sender TEXT, envid TEXT, account TEXT, client_address TEXT, client_helo TEXT, protocol TEXT, tls TEXT, port INTEGER NOT NULL, content BLOB);
CREATE TABLE recipient(message_id INTEGER NOT NULL, number INTEGER NOT NULL, held INTEGER NOT NULL, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
 flags INTEGER NOT NULL, destination TEXT NOT NULL, address TEXT NOT NULL, original TEXT, orcpt TEXT, last_ms INTEGER, last_code INTEGER, last_enhanced TEXT,
 last_text TEXT, last_peer TEXT, PRIMARY KEY(message_id, number)) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient(destination, due_ms, message_id, number) WHERE held = 0;
CREATE TABLE destination(name TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, failures INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX destination_due ON destination(due_ms, name);
CREATE TABLE leftover(id INTEGER PRIMARY KEY);
CREATE TABLE note(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA application_id = 1296199537;
PRAGMA user_version = 1;
"""
LATER = {
    2: "ALTER TABLE recipient ADD COLUMN last_tls TEXT; ALTER TABLE recipient ADD COLUMN history TEXT;",
    3: "ALTER TABLE recipient ADD COLUMN via TEXT; ALTER TABLE recipient ADD COLUMN progress TEXT;"
       "CREATE TABLE member(message_id INTEGER NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(message_id, key)) WITHOUT ROWID;",
    4: "ALTER TABLE message ADD COLUMN prefix TEXT;",
    5: "CREATE TABLE event(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, octets BLOB NOT NULL);",
    6: "ALTER TABLE message ADD COLUMN author TEXT; ALTER TABLE message ADD COLUMN story TEXT;",
    7: "CREATE TABLE judged(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, octets BLOB NOT NULL);"}
PREFIX_SINCE = 4  # before, Received was written in front of the content


def newest():
    return int(re.search(r"SCHEMA_VERSION = (\d+)", (ROOT / "src/store/queue/sqlite_open.c").read_text()).group(1))


def columns(database, table):
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def put_prefixes_into_contents(folder, rows):
    """Moves the prefix of each message row (a dictionary) in front of its content, also in its file."""
    for row in rows:
        prefix = (row["prefix"] or "").encode()
        if row["content"] is not None:
            row["content"] = prefix + row["content"]
            continue
        file, = (path for path in (folder / "content").rglob("*") if path.is_file() and path.stat().st_size == row["size"] - len(prefix))
        file.write_bytes(prefix + file.read_bytes())


def turn_back(folder, version):
    """Turns the queue into what the release with that schema would have left."""
    today, old = folder / "mailboat.db", folder / "old.db"
    owner = today.stat()
    with sqlite3.connect(today) as now, sqlite3.connect(old) as before:
        now.row_factory = sqlite3.Row
        before.executescript("PRAGMA journal_mode = WAL;" + FIRST)
        for each in range(2, version + 1):
            before.executescript(f"{LATER[each]} PRAGMA user_version = {each};")
        for table in ("message", "recipient", "destination", "note"):
            rows, names = [dict(row) for row in now.execute(f"SELECT * FROM {table}")], columns(before, table)
            if table == "message" and version < PREFIX_SINCE:
                put_prefixes_into_contents(folder, rows)
            before.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", [[row[name] for name in names] for row in rows])
        before.execute("UPDATE recipient SET attempts = 3, last_ms = 1, last_code = 451, last_enhanced = '4.7.1', last_text = 'later', last_peer = 'mx' WHERE address = ?", (BOB,))
    now.close(), before.close()
    for left in folder.glob("*.db-*"):
        left.unlink()
    shutil.move(old, today)
    os.chown(today, owner.st_uid, owner.st_gid)
    os.chmod(today, owner.st_mode & 0o777)


@pytest.mark.parametrize("version", [1, *LATER])
def test_all_mail_of_an_earlier_release_arrives(mailboat, peer, version):
    server = mailboat(relay=away_to(peer.port), extra="queue: {hold: true}\n")
    server.add_user(ADA, PASSWORD)
    body = {"small": "hi\r\n", "large": ("x" * 70 + "\r\n") * 3000}
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        for name, text in body.items():
            client.sendmail(ADA, [ADA, BOB], f"From: {ADA}\r\nSubject: {name}\r\n\r\n{text}")
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("carl@far.org", [ADA], "Subject: from afar\r\n\r\nhi\r\n")
    server.stop()
    turn_back(server.data / "queue", version)
    told = server.cli("queue", "list", check=False)
    assert told.returncode == 75 and "restart the server, which upgrades it" in told.stderr
    server.extra = ""
    server.start()
    for subject in (*body, "from afar"):
        assert len(server.arrivals(ADA, subject)) == 1
    until(lambda: len(peer.letters) == 2 and server.queue_count() == 0)
    assert server.queue_count() == 0 and not server.lines("bounced")
    away = {re.search(rb"^Subject: (.*)\r$", content, re.M).group(1).decode(): content for _, content in peer.letters}
    for name, text in body.items():
        header, _, content = away[name].partition(b"\r\n\r\n")
        assert content == text.encode() and header.count(b"Received: ") == 1 and header.startswith(b"Received: ")
        mine = server.arrivals(ADA, name)[0]
        assert mine.partition(b"\n\n")[2].replace(b"\n", b"\r\n") == text.encode() and mine.count(b"\nReceived: ") == 1
    server.stop()
    with sqlite3.connect(server.data / "queue" / "mailboat.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (newest(),)
        assert database.execute("SELECT count(*) FROM message").fetchone() == (0,)
