# SPDX-License-Identifier: Apache-2.0
"""Managing accounts: forwarding, vacation replies, and the removal of users."""
import email
import email.policy
import json
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

from mailboat import Mailboat, run, smtp, until
from plain_peer import Peer, away_to

ADA, BOB, EVE, FAR = "ada@example.org", "bob@example.org", "eve@example.org", "carl@far.example"
PASSWORD = "secret-of-all"


class World:
    """One server for all tests of this file; outgoing mail goes to `peer`."""

    def __init__(self, folder, certificates):
        self.peer = Peer()
        self.server = Mailboat(folder, certificates, relay=away_to(self.peer.port)).start()
        for user in (ADA, BOB, EVE):
            self.server.add_user(user, PASSWORD)

    def user(self, *words, **options):
        return self.server.cli("user", *words, **options)

    def calm(self):
        """Restores the accounts to their state after `user add`."""
        for user in (ADA, BOB, EVE):
            self.user("forward", user, "off")
            self.user("vacation", user, "off", check=False)

    def send(self, subject, to=ADA, sender=FAR, header="", text="hello"):
        with smtp(self.server, 25, starttls=False) as client:
            return client.sendmail(sender, [to], f"From: <{sender or 'nobody@far.example'}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n{header}\r\n{text}\r\n")

    def settle(self):
        until(lambda: self.server.queue_count() == 0)
        assert self.server.queue_count() == 0

    def left(self, subject):
        """Returns remote recipients and texts of outgoing messages with this subject."""
        found = []
        for said, content in list(self.peer.letters):
            message = email.message_from_bytes(content, policy=email.policy.default)
            if message["Subject"] == subject:
                found.append((said, message))
        return found

    def mine(self, user, subject):
        return [m for m in self.server.mail(user) if email.message_from_bytes(m, policy=email.policy.default)["Subject"] == subject]


@pytest.fixture(scope="module")
def one_world(tmp_path_factory, certificates):
    world = World(tmp_path_factory.mktemp("life"), certificates)
    yield world
    world.server.stop()


@pytest.fixture
def world(one_world):
    one_world.calm()
    return one_world


# ---- forwarding ----

def test_mail_goes_on_and_a_copy_stays(world):
    world.user("forward", ADA, FAR)
    world.send("on and here", sender="dan@near.example")
    world.settle()
    (said, message), = world.left("on and here")
    assert re.fullmatch(r"MAIL FROM:<SRS0=\w{8}=\w\w=near\.example=dan@example\.org>", said[0])  # bounces lead to the author
    assert said[1:] == [f"RCPT TO:<{FAR}>"]
    assert len(world.mine(ADA, "on and here")) == 1
    row, = (r for r in json.loads(world.user("list", "--json").stdout) if r["address"] == ADA)
    assert (row["forward"], row["keeps"], row["away"]) == (FAR, True, False)


def test_no_copy_stays_where_none_is_wanted_and_off_is_off_at_once(world):
    world.user("forward", ADA, FAR, "--no-keep")
    world.send("only on")
    world.user("forward", ADA, "off")
    world.send("only here")
    world.settle()
    assert len(world.left("only on")) == 1 and world.mine(ADA, "only on") == []
    assert world.left("only here") == [] and len(world.mine(ADA, "only here")) == 1


def test_a_circle_loses_nothing_and_ends(world):
    world.user("forward", ADA, BOB, "--no-keep")
    world.user("forward", BOB, EVE, "--no-keep")
    world.user("forward", EVE, ADA, "--no-keep")
    world.send("round")
    world.user("forward", EVE, "nobody@example.org", "--no-keep")  # a mailbox that does not exist
    world.send("nowhere")
    world.settle()
    assert sum(len(world.mine(user, "round")) for user in (ADA, BOB, EVE)) == 1
    assert len(world.mine(EVE, "nowhere")) == 1


def test_forwarding_lets_nobody_send_as_another(world):
    world.user("forward", ADA, BOB)
    world.server.cli("alias", "add", "sales@example.org", ADA)
    with smtp(world.server, 587, user=BOB, password=PASSWORD) as client:
        client.ehlo()
        for stolen in (ADA, "sales@example.org"):
            assert client.mail(stolen)[0] == 550
    world.user("forward", ADA, FAR, "--no-keep")
    with smtp(world.server, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo()
        assert client.mail("sales@example.org")[0] == 250  # her alias still exists


def test_port_25_relays_for_nobody_else(world):
    world.user("forward", ADA, FAR)
    with smtp(world.server, 25, starttls=False) as client:
        client.ehlo()
        client.mail("x@near.example")
        assert client.rcpt(FAR)[0] == 550
        assert client.rcpt(ADA)[0] == 250


@pytest.mark.parametrize("words, code, says", [
    (("forward", ADA, "far.example"), 65, "not a mail address"), (("forward", ADA, ADA), 65, "own address"), (("forward", ADA, "Ada+x@EXAMPLE.org"), 65, "own address"),
    (("forward", "nobody@example.org", FAR), 67, "no user"), (("forward", ADA, "off", "--no-keep"), 64, "--no-keep"), (("forward", ADA), 64, "missing TO|off for forward"),
    (("vacation", ADA, "--since", "2026-02-31", "--message", "-"), 64, "is not a date"), (("vacation", ADA, "--until", "tomorrow", "--message", "-"), 64, "is not a date"),
    (("vacation", ADA, "--days", "0", "--message", "-"), 64, "1 to 365"), (("vacation", ADA, "--days", "366", "--message", "-"), 64, "1 to 365"),
    (("vacation", ADA, "--since", "2026-03-02", "--until", "2026-03-01", "--message", "-"), 64, "before"), (("vacation", ADA, "--message", "/none"), 66, "/none"),
    (("vacation", ADA, "--subject", "a\nBcc: x@y.example", "--message", "-"), 65, "line break"), (("vacation", ADA, "--days", "3"), 64, "--message"),
    (("vacation", "nobody@example.org", "--message", "-"), 67, "no user"), (("vacation", ADA, "off"), 67, "no answer")])
def test_what_is_wrong_is_said_in_a_line(world, words, code, says):
    done = world.user(*words, text_input="away\n", check=False)
    assert done.returncode == code and done.stderr.count("\n") == 1 and says in done.stderr
    assert json.loads(world.user("list", "--json").stdout)[0]["away"] is False


# ---- vacation replies ----

def away(world, *words, user=ADA, text="Ich bin weg.\nGrüße, Ada\n"):
    world.user("vacation", user, "--message", "-", *words, text_input=text)


def test_a_person_is_answered_once(world):
    away(world)
    world.send("=?utf-8?Q?Tee=3F?= one", sender="uma@far.example", header="Message-ID: <tea@far.example>\r\n")
    world.send("again", sender="uma@far.example")
    world.settle()
    (said, answer), = world.left("Auto: Tee? one")
    assert said == ["MAIL FROM:<>", "RCPT TO:<uma@far.example>"]  # no bounce for it
    assert answer["From"] == ADA and answer["To"] == "uma@far.example" and answer["Auto-Submitted"] == "auto-replied"
    assert answer["In-Reply-To"] == "<tea@far.example>" and answer["Date"] and answer["Message-ID"].endswith("@mx.example.org>")
    assert answer.get_content().replace("\r\n", "\n") == "Ich bin weg.\nGrüße, Ada\n"
    assert world.left("Auto: again") == [] and len(world.mine(ADA, "again")) == 1


def test_programs_lists_and_reports_are_not_answered(world):
    away(world, "--subject", "manners")
    for i, header in enumerate(["Auto-Submitted: auto-generated\r\n", "List-Id: <tea.far.example>\r\n", "Precedence: bulk\r\n", "X-Auto-Response-Suppress: OOF\r\n"]):
        world.send(f"kept {i}", sender=f"p{i}@far.example", header=header)
    world.send("kept 4", sender="")
    world.send("kept 5", sender="tea-request@far.example")
    with smtp(world.server, 25, starttls=False) as client:  # in Bcc
        client.sendmail("q@far.example", [ADA], "To: undisclosed-recipients:;\r\nSubject: kept 6\r\n\r\nx\r\n")
    world.settle()
    world.send("kept 7", sender="control@far.example")
    world.server.arrivals(ADA, "kept 7")
    until(lambda: world.left("manners"))
    world.settle()
    assert [said[1] for said, _ in world.left("manners")] == ["RCPT TO:<control@far.example>"]
    assert all(len(world.mine(ADA, f"kept {i}")) == 1 for i in range(8))


def test_two_who_are_away_do_not_talk_to_each_other(world):
    away(world, "--subject", "ada is away")
    away(world, "--subject", "bob is away", user=BOB)
    with smtp(world.server, 587, user=BOB, password=PASSWORD) as client:
        client.sendmail(BOB, [ADA], f"From: {BOB}\r\nTo: {ADA}\r\nSubject: who is there\r\n\r\nx\r\n")
    assert len(world.server.arrivals(BOB, "ada is away")) == 1
    world.settle()
    assert len(world.mine(BOB, "ada is away")) == 1 and world.mine(ADA, "bob is away") == []


def test_only_in_its_time(world):
    away(world, "--subject", "not yet", "--since", "2099-01-01", text="later")
    world.send("too early", sender="early@far.example")
    world.settle()
    away(world, "--subject", "no more", "--until", "2020-01-01")
    world.send("too late", sender="late@far.example")
    world.settle()
    away(world, "--subject", "now", "--since", "2020-01-01", "--until", "2099-12-31", "--days", "30")
    shown = world.user("vacation", ADA).stdout
    assert "once in 30 days, from 2020-01-01, up to 2099-12-31" in shown and "Subject: now" in shown and "Grüße" in shown
    world.send("in time", sender="control@near.example")
    until(lambda: world.left("now"))
    world.settle()
    assert len(world.left("now")) == 1 and world.left("not yet") == [] and world.left("no more") == []


def test_what_was_answered_is_known_after_a_restart(world):
    away(world, "--subject", "remembered")
    world.send("first", sender="val@far.example")
    until(lambda: world.left("remembered"))
    world.server.stop()
    world.server.start()
    world.send("second", sender="val@far.example")
    world.settle()
    world.send("third", sender="wim@far.example")
    until(lambda: len(world.left("remembered")) == 2)
    world.settle()
    assert sorted(said[1] for said, _ in world.left("remembered")) == ["RCPT TO:<val@far.example>", "RCPT TO:<wim@far.example>"]


def test_what_is_forwarded_without_a_copy_is_not_answered(world):
    away(world, "--subject", "gone on")
    world.user("forward", ADA, FAR, "--no-keep")
    world.send("passing", sender="xenia@far.example")
    world.settle()
    world.user("forward", ADA, FAR)
    world.send("staying too", sender="yuri@far.example")
    until(lambda: world.left("gone on"))
    world.settle()
    assert [said[1] for said, _ in world.left("gone on")] == ["RCPT TO:<yuri@far.example>"]


# ---- removal ----

def test_nothing_leads_to_who_was_removed(world):
    server = world.server
    server.add_user("gil@example.org", PASSWORD)
    server.cli("alias", "add", "desk@example.org", "gil@example.org")
    server.cli("alias", "add", "desk@example.org", BOB)
    world.user("forward", EVE, "gil@example.org", "--no-keep")
    away(world, user="gil@example.org")
    world.user("remove", "gil@example.org")
    world.send("to the desk", to="desk@example.org")
    world.send("to eve", to=EVE)
    world.settle()
    assert len(world.mine(BOB, "to the desk")) == 1 and len(world.mine(EVE, "to eve")) == 1
    server.add_user("gil@example.org", PASSWORD)  # another user of that name
    row, = (r for r in json.loads(world.user("list", "--json").stdout) if r["address"] == "gil@example.org")
    assert row["forward"] is None and row["away"] is False


def test_accounts_of_earlier_versions_are_brought_up_to_date(tmp_path):
    """Accounts with the schema of version 2."""
    config = tmp_path / "c.conf"
    config.write_text(f"hostname: mx.example.org\ndata_dir: {tmp_path}/data\ndomains: [example.org]\n")
    (tmp_path / "data").mkdir()
    db = sqlite3.connect(tmp_path / "data" / "accounts.db")
    db.executescript("CREATE TABLE user (address TEXT PRIMARY KEY, password TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, scram BLOB) WITHOUT ROWID;"
                     "CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;"
                     "CREATE TABLE alias (address TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (address, target)) WITHOUT ROWID;"
                     "CREATE TABLE key (id TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL, created INTEGER NOT NULL, scram BLOB) WITHOUT ROWID;"
                     "CREATE TABLE secret (name TEXT PRIMARY KEY, octets BLOB NOT NULL) WITHOUT ROWID; INSERT INTO secret VALUES ('salt', randomblob(32));"
                     "PRAGMA application_id = 1296195939; PRAGMA user_version = 2;"
                     "INSERT INTO user VALUES ('ada@example.org', '*', 0, 1700000000, NULL);")
    db.close()
    run("user", "forward", ADA, FAR, "--config", config)
    row, = json.loads(run("user", "list", "--json", "--config", config).stdout)
    assert row["forward"] == FAR and row["created"] == "2023-11-14T22:13:20Z"
    assert not (tmp_path / "data" / "accounts.db").exists() and (tmp_path / "data" / "accounts" / "accounts.db").is_file()


def test_accounts_in_the_folder_of_before_are_moved_with_what_a_crash_left(mailboat):
    """Accounts of an earlier release: owned by root, in the data directory, with an uncommitted change's journal."""
    server = mailboat()
    server.add_user(ADA, PASSWORD)
    server.stop()
    old, new = server.data, server.data / "accounts"
    writer = subprocess.Popen([sys.executable, "-c", CRASH, new / "accounts.db"], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"written\n"
    for name in ("accounts.db", "accounts.db-journal"):
        shutil.copy(new / name, old / name)
    writer.kill()
    writer.wait()
    shutil.rmtree(new)
    server.start()
    assert sorted(p.name for p in new.iterdir()) == ["accounts.db", "lock", "srs.key"] and not list(old.glob("accounts.db*"))
    assert {(p.stat().st_uid, p.stat().st_mode & 0o777) for p in new.iterdir()} == {(new.stat().st_uid, 0o600)}
    row, = json.loads(server.cli("user", "list", "--json").stdout)
    assert row["address"] == ADA and not row["disabled"]
    with smtp(server, 587, user=ADA, password=PASSWORD):
        pass


# Its pages are in the file already, and the journal rolls them back.
CRASH = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.executescript("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE; UPDATE user SET disabled = 1;")
db.executemany("INSERT INTO alias VALUES (?, ?)", [(f"a{n}@example.org", "x" * 200) for n in range(5000)])
print("written", flush=True)
time.sleep(600)
"""
