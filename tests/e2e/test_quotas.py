# SPDX-License-Identifier: Apache-2.0
"""Quotas of mailboxes for every kind of delivery, and the warnings before a mailbox is full."""
import email
import email.policy
import imaplib
import json
import os
import shutil
import signal
import smtplib
import sqlite3
import subprocess

import pytest

from faults import Board
from mailboat import Mailboat, run, smtp, until
from test_mailboxes import mailboxes, sure  # noqa: F401 (fixtures)
from test_mailboxes import mailboat as short_mailboat  # noqa: F401

ADA, BOB, PASSWORD = "ada@example.org", "bob@example.org", "secret-of-both"
needs_dovecot = pytest.mark.skipif(shutil.which("dovecot", path="/usr/sbin:/usr/bin") is None, reason="Dovecot is not installed")


@pytest.fixture
def mailboat(short_mailboat):  # noqa: F811
    return short_mailboat


class World:
    """One server for the mail that Mailboat delivers itself."""

    def __init__(self, folder, certificates):
        self.server = Mailboat(folder, certificates).start()
        self.count = 0
        self.server.add_user(BOB, PASSWORD)

    def user(self):
        """Adds a new user for each test, with an empty mailbox."""
        self.count += 1
        address = f"u{self.count}@example.org"
        self.server.add_user(address, PASSWORD)
        return address

    def quota(self, address, *words):
        return json.loads(self.server.cli("user", "quota", address, *words, "--json").stdout)

    def send(self, *to, subject="hello", octets=0, sender=BOB):
        with smtp(self.server, 587, user=BOB, password=PASSWORD) as client:
            client.sendmail(sender, list(to), f"From: {sender}\r\nSubject: {subject}\r\n\r\n" + fill(octets))
        self.settle()

    def settle(self):
        until(lambda: self.server.queue_count() == 0)
        assert self.server.queue_count() == 0

    def files(self, address):
        return sorted((p for p in (self.server.maildir(address) / "new").iterdir()), key=lambda p: p.stat().st_mtime_ns)

    def holds(self, address):
        return sum(p.stat().st_size for p in self.files(address))

    def subjects(self, address):
        return [str(email.message_from_bytes(m, policy=email.policy.default)["Subject"]) for m in self.server.mail(address)]

    def noted(self, address):
        """Returns the content of maildirsize."""
        limit, *lines = (self.server.maildir(address) / "maildirsize").read_text().splitlines()
        return limit, sum(int(line.split()[0]) for line in lines), sum(int(line.split()[1]) for line in lines)


def fill(octets):
    """Returns text of about this size, in lines of 70 letters."""
    return ("x" * 70 + "\r\n") * (octets // 71) + "x" * (octets % 71) + "\r\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory, certificates):
    world = World(tmp_path_factory.mktemp("quota"), certificates)
    yield world
    world.server.stop()


# ---- user input ----

def test_it_is_set_shown_and_taken_back(world):
    ada = world.user()
    assert world.quota(ada) == {"address": ada, "octets": 0, "messages": 0, "quota": None, "percent": None, "own": False}
    assert world.quota(ada, "1GiB")["quota"] == 1 << 30
    world.send(ada, octets=1000)
    facts = world.quota(ada)
    assert (facts["octets"], facts["messages"], facts["percent"], facts["own"]) == (world.holds(ada), 1, 0, True)
    assert "of 1 GiB: 0 % (its own quota)" in world.server.cli("user", "quota", ada).stdout
    row, = (r for r in json.loads(world.server.cli("user", "list", "--json").stdout) if r["address"] == ada)
    assert row["quota"] == 1 << 30
    assert "(quota 1 GiB)" in next(line for line in world.server.cli("user", "list").stdout.splitlines() if line.startswith(ada))
    for word in ("off", "none"):
        assert (world.quota(ada, word)["quota"], world.quota(ada)["own"]) == (None, True)
    assert world.quota(ada, "default")["own"] is False


@pytest.mark.parametrize("words, code, says", [
    ((BOB, "much"), 64, "1GiB"), ((BOB, "0"), 64, "off"), ((BOB, "-5"), 64, ""), ((BOB, "1.5GiB"), 64, "1GiB"), ((BOB, "99999999TiB"), 64, "1GiB"),
    (("nobody@example.org", "1GiB"), 67, "no user"), (("nobody@example.org",), 67, "no user"), (("bob", "1GiB"), 65, "not a mail address"), ((), 64, "missing ADDRESS for quota")])
def test_what_is_wrong_is_said_in_a_line(world, words, code, says):
    done = world.server.cli("user", "quota", *words, check=False)
    assert done.returncode == code and done.stderr.count("\n") == 1 and says in done.stderr


def test_one_for_all_in_the_configuration(mailboat):
    server = mailboat(extra="mailboxes: {quota: 20KiB}\n")
    for user in (ADA, BOB):
        server.add_user(user, PASSWORD)
    server.cli("user", "quota", BOB, "off")
    assert 'quota: 20480' in server.cli("config", "show").stdout
    assert (json.loads(server.cli("user", "quota", ADA, "--json").stdout)["quota"]) == 20480
    with smtp(server, 587, user=BOB, password=PASSWORD) as client:
        client.sendmail(BOB, [ADA, BOB], f"From: {BOB}\r\nSubject: big\r\n\r\n" + fill(21000))
    server.wait_log("bounced", f"to={ADA}", "status=5.2.2")
    assert server.arrivals(BOB, "big")
    server.config.write_text(server.config.read_text().replace("20KiB", "40KiB"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded")
    with smtp(server, 587, user=BOB, password=PASSWORD) as client:
        client.sendmail(BOB, [ADA], f"From: {BOB}\r\nSubject: big again\r\n\r\n" + fill(21000))
    assert server.arrivals(ADA, "big again")


# ---- the limit ----

def test_what_fits_to_the_octet_comes_and_one_octet_more_does_not(world):
    ada = world.user()
    world.quota(ada, "1MiB")
    world.send(ada, octets=4000)
    size = world.holds(ada)
    world.quota(ada, str(2 * size))
    world.send(ada, octets=4001)  # one above the limit
    assert world.server.lines("bounced", f"to={ada}", "status=5.2.2") and len(world.files(ada)) == 1
    world.send(ada, octets=4000)  # exactly
    assert list((world.server.maildir(ada) / "tmp").iterdir()) == []
    assert world.subjects(ada).count("hello") == 2 and world.holds(ada) > 2 * size  # with the warning, which exceeds it
    assert world.quota(ada)["percent"] >= 100


def test_a_full_mailbox_is_the_fate_of_one_recipient(world):
    ada, eve = world.user(), world.user()
    world.quota(ada, "2KiB")
    world.send(ada, eve, subject="for two", octets=4000)
    assert world.subjects(eve) == ["for two"] and not world.files(ada)
    report, = (m for m in world.server.mail(BOB) if b"for two" in m)
    assert b"multipart/report" in report and b"Status: 5.2.2" in report and b"mailbox full (over quota)" in report and ada.encode() in report
    world.send(ada, subject="small")  # a message that fits is still delivered
    assert "small" in world.subjects(ada)


def test_what_is_changed_counts_at_once(world):
    ada = world.user()
    for size, arrives in (("1KiB", 0), ("1MiB", 1), ("2KiB", 1), ("off", 2), ("default", 3)):
        world.quota(ada, size)
        world.send(ada, octets=3000)
        assert world.subjects(ada).count("hello") == arrives, size
    world.quota(ada, "1KiB")
    world.server.cli("user", "remove", ada)
    shutil.rmtree(world.server.maildir(ada))
    world.server.add_user(ada, PASSWORD)  # another user of that name
    world.send(ada, octets=3000)
    assert world.subjects(ada) == ["hello"]


# ---- full mailboxes are rejected at RCPT ----

BELIEVED_S = 5 * 60


class Full:
    """A server whose user ADA has a full mailbox; the test controls the time."""

    def __init__(self, mailboat, folder):  # noqa: F811
        self.board = Board(folder / "board")
        self.server = mailboat(environment=self.board.environment())
        for user in (ADA, BOB):
            self.server.add_user(user, PASSWORD)
        for alias, member in (("only", ADA), ("team", ADA), ("team", BOB), ("postmaster", ADA)):
            self.server.cli("alias", "add", f"{alias}@example.org", member)
        self.server.cli("user", "quota", ADA, "20KiB")
        self.send(ADA, octets=19900)  # with the warning it is over its limit

    def says(self, address, port=25):
        """Returns the reply to RCPT, from another server or from Bob."""
        signed_in = {"user": BOB, "password": PASSWORD} if port == 587 else {"starttls": False}
        with smtp(self.server, port, **signed_in) as client:
            client.ehlo()
            client.mail(BOB)
            code, text = client.rcpt(address)
            return f"{code} {text.decode()}"

    def send(self, to, octets=0):
        with smtp(self.server, 25, starttls=False) as client:
            client.sendmail(BOB, [to], "Subject: hello\r\n\r\n" + fill(octets))
        until(lambda: self.server.queue_count() == 0)
        assert self.server.queue_count() == 0

    def empty(self):
        maildir = self.server.maildir(ADA)
        for path in [*(maildir / "new").iterdir(), maildir / "maildirsize"]:
            path.unlink()

    def reports(self):
        return len([m for m in self.server.mail(BOB) if b"Status: 5.2.2" in m])


@pytest.fixture
def full(mailboat, tmp_path):
    return Full(mailboat, tmp_path)


def test_one_message_finds_a_mailbox_full_and_the_next_is_refused_at_rcpt(full):
    assert full.says(ADA).startswith("250 ") and full.reports() == 0
    full.send(ADA)
    assert full.reports() == 1
    refusal = "552 5.2.2 <{}>: Mailbox full (over quota)"
    for address in (ADA, ADA, "ada+tag@example.org", "Only@example.org"):
        assert full.says(address) == refusal.format(address)
    assert full.says(ADA, port=587) == refusal.format(ADA)
    for address in (BOB, "team@example.org", "postmaster@example.org", "Postmaster"):  # one member has space; and RFC 5321 4.5.1
        assert full.says(address).startswith("250 "), address
    assert full.server.lines("reply_rejected", "code=552") and full.reports() == 1


def test_after_five_minutes_one_message_gets_in_again_and_is_told_of_what_it_finds(full):
    full.send(ADA)
    full.board.pass_time(BELIEVED_S - 20)
    assert full.says(ADA).startswith("552 ")
    full.board.pass_time(21)
    assert full.says(ADA).startswith("250 ")
    full.send(ADA)
    assert full.says(ADA).startswith("552 ") and full.reports() == 2
    full.empty()
    full.board.pass_time(BELIEVED_S)
    full.send(ADA)
    assert full.says(ADA).startswith("250 ") and full.reports() == 2
    assert len(full.server.mail(ADA)) == 1


def test_room_is_believed_at_once(full):
    full.send(ADA)
    full.empty()
    assert full.says(ADA).startswith("552 ")
    full.send("postmaster@example.org")  # delivered to the same mailbox
    assert full.says(ADA).startswith("250 ") and len(full.server.mail(ADA)) == 1
    full.send(ADA, octets=19400)
    full.send(ADA)
    assert full.says(ADA).startswith("552 ")
    full.server.cli("user", "quota", ADA, "1MiB")
    assert full.says(ADA).startswith("250 ")
    full.server.cli("user", "quota", ADA, "20KiB")
    full.send(ADA)
    assert full.says(ADA).startswith("552 ")
    full.server.process.send_signal(signal.SIGHUP)
    full.server.wait_log("reloaded")
    assert full.says(ADA).startswith("250 ")  # the configuration may have a larger quota


def test_what_is_deleted_makes_room_within_seconds(full):
    full.send(ADA)
    assert full.says(ADA).startswith("552 ")
    with open(full.server.maildir(ADA) / "maildirsize", "a") as file:  # as Dovecot does
        file.write("-19900 -1\n")
    sure(lambda: full.says(ADA).startswith("250 "))


def test_a_large_message_that_does_not_fit_does_not_keep_small_ones_out(full):
    full.empty()
    full.send(ADA, octets=30000)
    assert full.reports() == 1 and full.says(ADA).startswith("250 ")


# ---- the count ----

def test_maildirsize_says_what_is_there_and_is_added_to(world):
    ada = world.user()
    world.quota(ada, "1MiB")
    for i in range(3):
        world.send(ada, octets=500 * i)
    assert world.noted(ada) == ("1048576S", world.holds(ada), 3)
    assert all(f",S={p.stat().st_size}" in p.name for p in world.files(ada))
    assert world.server.maildir(ada).joinpath("maildirsize").read_text().count("\n") == 2 + 3  # counted once, then a line for each


@pytest.mark.parametrize("damage", ["", "12", "1048576S\n", "1048576S\nfive 1\n", "1048576S\n-7 1\n", "5S\n0 0\n", "1048576S\n0 0\n" + "0 0\n" * 1300, "\0" * 40, "1048576S\n99999999999999999999 1\n"])
def test_a_maildirsize_that_cannot_be_right_is_made_anew(world, damage):
    ada = world.user()
    world.quota(ada, "1MiB")
    world.send(ada)
    (world.server.maildir(ada) / "maildirsize").write_text(damage)
    world.send(ada)
    assert world.noted(ada) == ("1048576S", world.holds(ada), 2)


def test_mail_that_went_makes_room_though_nobody_noted_it(world):
    """As after a crash between the message and its line, or after a change by another program."""
    ada = world.user()
    world.quota(ada, "20KiB")
    for _ in range(3):
        world.send(ada, octets=4000)
    for path in world.files(ada):
        path.unlink()
    for _ in range(3):
        world.send(ada, octets=4000)
    assert world.subjects(ada) == 3 * ["hello"] and not world.server.lines("bounced", f"to={ada}")  # and no user is warned without reason
    assert world.noted(ada)[1] == world.holds(ada)


def test_all_folders_count(world):
    ada = world.user()
    world.send(ada)
    sent = world.server.maildir(ada) / ".Sent" / "cur"
    sent.mkdir(parents=True)
    (sent / "1.x.host,S=900:2,S").write_bytes(b"y" * 10)  # its name contains its size
    (sent / "2.x.host:2,S").write_bytes(b"y" * 1000)
    assert world.quota(ada, "1MiB")["octets"] == world.holds(ada) + 1900


def test_a_crash_between_the_message_and_its_line_is_made_good(mailboat):
    server = mailboat()
    for user in (ADA, BOB):
        server.add_user(user, PASSWORD)
    server.cli("user", "quota", ADA, "30KiB")

    def send(subject):
        with smtp(server, 587, user=BOB, password=PASSWORD) as client:
            client.sendmail(BOB, [ADA], f"From: {BOB}\r\nSubject: {subject}\r\n\r\n" + fill(4000))
    refused = 0
    for i in range(10):
        try:
            send(f"m{i}")
        except smtplib.SMTPRecipientsRefused as refusal:  # the mailbox was full already
            assert refusal.recipients[ADA][0] == 552
            refused += 1
        for pid in server.processes().get("local", []):
            os.kill(pid, signal.SIGKILL)
    until(lambda: server.queue_count() == 0, patience=60)
    assert server.queue_count() == 0
    files = [p for p in (server.maildir(ADA) / "new").iterdir()]
    mail = [m for m in server.mail(ADA) if b"Subject: m" in m]
    # Delivered messages fit, others were refused or bounced, and nothing is missing.
    bounced = len([m for m in server.mail(BOB) if b"Status: 5.2.2" in m])
    assert sum(len(m) for m in mail) <= 30 * 1024 and len(mail) + bounced + refused == 10 and len(mail) >= 6
    assert json.loads(server.cli("user", "quota", ADA, "--json").stdout)["octets"] == sum(p.stat().st_size for p in files)


# ---- warnings ----

def warnings(world, user):
    return [s for s in world.subjects(user) if s.startswith("Your mailbox is")]


def test_the_user_is_warned_once_for_each_mark_and_again_after_it_was_below(world):
    ada = world.user()
    world.send(ada, octets=7000)
    size = world.holds(ada)
    world.quota(ada, str(100 * size // 20))  # each is a fifth
    for _ in range(2):
        world.send(ada, octets=7000)
    assert warnings(world, ada) == []
    world.send(ada, octets=7100)
    assert warnings(world, ada) == ["Your mailbox is 80% full"]
    world.send(ada)
    assert len(warnings(world, ada)) == 1
    world.send(ada, octets=100 * size // 20 - world.holds(ada) - 600)
    assert len(warnings(world, ada)) == 2
    world.send(ada, subject="still")
    assert len(warnings(world, ada)) == 2
    letter = email.message_from_bytes(next(m for m in world.server.mail(ada) if b"80% full" in m), policy=email.policy.default)
    text = letter.get_content()
    assert letter["From"] == "postmaster@example.org" and letter["To"] == ada and letter["Return-Path"] == "<>" and letter["Auto-Submitted"] == "auto-generated" and letter["Date"]
    assert f"The mailbox {ada} uses 28 KiB of its quota of 35 KiB (80% full)." in text and "returned to their senders as\nundeliverable" in text and "empty the trash" in text and "postmaster@example.org" in text
    for path in [*world.files(ada), world.server.maildir(ada) / "maildirsize"]:
        path.unlink()
    world.quota(ada, str(100 * size // 20 + 1))  # a new quota: otherwise it would count as full for a while
    for _ in range(4):
        world.send(ada, octets=7100)
    assert warnings(world, ada) == ["Your mailbox is 81% full"]


def test_one_message_may_pass_both_marks_and_the_warning_comes_into_a_full_mailbox(world):
    ada = world.user()
    world.quota(ada, "10KiB")
    world.send(ada, octets=9700)
    assert warnings(world, ada) == ["Your mailbox is 98% full"]
    assert world.quota(ada)["octets"] > 10240
    assert world.noted(ada)[1] == world.holds(ada)
    world.send(ada)
    assert world.server.lines("bounced", f"to={ada}", "status=5.2.2") and len(warnings(world, ada)) == 1


def test_doctor_names_those_that_are_nearly_full_and_no_more_than_a_few(mailboat):
    server = mailboat(domains=())  # without a domain whose DNS it would look up
    server.cli("domain", "add", "example.org")
    for user in (ADA, BOB):
        server.add_user(user, PASSWORD)
    server.cli("user", "quota", ADA, "10KiB")
    with smtp(server, 25, starttls=False) as client:
        client.sendmail(BOB, [ADA], fill(9700))
    until(lambda: len(server.mail(ADA)) == 2)  # with the warning

    def named():
        found = json.loads(server.cli("doctor", "--target", "127.0.0.1:9", "--json", check=False).stdout)["server"]
        return {s["what"]: s for s in found if s["what"].startswith("mailbox")}
    seen = named()
    assert list(seen) == [f"mailbox of {ADA}"] and seen[f"mailbox of {ADA}"]["status"] == "warn"
    assert "% full" in seen[f"mailbox of {ADA}"]["words"] and f"mailboat user quota {ADA} SIZE" in seen[f"mailbox of {ADA}"]["hint"]
    users = [f"u{i}@example.org" for i in range(7)]
    for octets, user in zip([949, *6 * [950]], users):  # below the threshold, and at it
        server.add_user(user, PASSWORD)
        server.cli("user", "quota", user, "1000")
        server.maildir(user).mkdir(parents=True)
        (server.maildir(user) / "maildirsize").write_text(f"1000S\n{octets} 1\n")
    seen = named()  # five by name, the others as a number
    assert list(seen) == [f"mailbox of {user}" for user in (ADA, *users[1:5])] + ["mailboxes"] and seen["mailboxes"]["words"] == "2 more are nearly full"


# ---- with Dovecot: one count, one limit ----

@needs_dovecot
@pytest.mark.parametrize("deliver", ["maildir", "lmtp"])
def test_imap_shows_the_quota_and_both_count_together(mailboxes, deliver):  # noqa: F811
    boxes = mailboxes(deliver=deliver)
    server = boxes.server
    server.cli("user", "quota", ADA, "100KiB")
    boxes.send(ADA, text=fill(10000))
    sure(lambda: boxes.inbox())

    def shown():
        with boxes.imap() as client:
            return str(client.getquotaroot("INBOX")[1][1][0])

    def counted():
        return json.loads(server.cli("user", "quota", ADA, "--json").stdout)["octets"]
    assert f"STORAGE {-(-counted() // 1024)} 100" in shown() and counted() > 10000
    with boxes.imap() as client:  # messages stored by a mail program count too
        assert client.append("Sent", None, None, f"Subject: sent\r\n\r\n{fill(60000)}".encode())[0] == "OK"
        assert client.append("Sent", None, None, f"Subject: sent\r\n\r\n{fill(60000)}".encode())[0] == "NO"
    assert f"STORAGE {-(-counted() // 1024)} 100" in shown()
    boxes.send(ADA, subject="too much", text=fill(40000), sender=BOB)
    server.wait_log("bounced", f"to={ADA}", "status=5.2.2")
    with boxes.imap() as client:  # deleted messages free space
        client.select("Sent")
        client.store("1", "+FLAGS", "\\Deleted")
        client.expunge()
    boxes.send(ADA, subject="now it fits", text=fill(40000))
    sure(lambda: any(b"now it fits" in m for m in boxes.inbox()))
    assert f"STORAGE {-(-counted() // 1024)} 100" in shown()
    for word, seen in (("200KiB", " 200)"), ("300KiB", " 300)")):  # immediately, also twice in a second
        server.cli("user", "quota", ADA, word)
        sure(lambda: seen in shown())
    server.cli("user", "quota", ADA, "off")
    sure(lambda: "STORAGE" not in shown())
    boxes.send(ADA, subject="without limit", text=fill(400000))
    sure(lambda: any(b"without limit" in m for m in boxes.inbox()))


@needs_dovecot
@pytest.mark.parametrize("deliver", ["maildir", "lmtp"])
def test_warnings_come_whoever_fills_the_mailbox(mailboxes, deliver):  # noqa: F811
    boxes = mailboxes(deliver=deliver)
    boxes.server.cli("user", "quota", ADA, "100KiB")

    def warned():
        return [email.message_from_bytes(m, policy=email.policy.default)["Subject"] for m in boxes.inbox() if b"Subject: Your mailbox is" in m]
    assert boxes.inbox() == []  # creates the mailbox
    with boxes.imap() as client:
        assert client.append("Sent", None, None, f"Subject: sent\r\n\r\n{fill(82000)}".encode())[0] == "OK"
        assert client.append("Sent", None, None, b"Subject: small\r\n\r\nx\r\n")[0] == "OK"
    sure(lambda: len(warned()) == 1)
    boxes.send(ADA, text=fill(16000))
    sure(lambda: len(warned()) == 2)
    first, second = (int(subject.split()[3].removesuffix("%")) for subject in warned())
    assert 80 <= first < 95 <= second < 100


@needs_dovecot
def test_who_is_full_is_refused_at_rcpt_with_dovecots_lmtp_too(mailboxes):  # noqa: F811
    boxes = mailboxes(deliver="lmtp")
    boxes.server.cli("user", "quota", ADA, "100KiB")
    assert boxes.inbox() == []  # creates the mailbox
    boxes.send(ADA, text=fill(50000))
    boxes.send(ADA, subject="too large", text=fill(60000), sender=BOB)
    boxes.server.wait_log("bounced", f"to={ADA}", "status=5.2.2")  # which does not apply to small messages
    boxes.send(ADA, text=fill(50500))  # a message that fits is delivered; the warning exceeds the limit
    sure(lambda: len(boxes.inbox()) >= 3)
    boxes.send(ADA, subject="a word", sender=BOB)
    sure(lambda: len(boxes.server.lines("bounced", f"to={ADA}", "status=5.2.2")) == 2)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        boxes.send(ADA, subject="a word", sender=BOB)
    assert refused.value.recipients[ADA][0] == 552 and b"5.2.2 <ada@example.org>: Mailbox full" in refused.value.recipients[ADA][1]
    with boxes.imap() as client:
        client.select()
        client.store("1:*", "+FLAGS", "\\Deleted")
        client.expunge()

    def is_taken():
        with smtp(boxes.server, 25, starttls=False) as client:
            client.ehlo()
            client.mail(BOB)
            return client.rcpt(ADA)[0] == 250
    sure(is_taken)


# ---- accounts of earlier versions ----

def test_accounts_of_version_3_are_brought_up_to_date(tmp_path):
    config = tmp_path / "c.conf"
    config.write_text(f"hostname: mx.example.org\ndata_dir: {tmp_path}/data\ndomains: [example.org]\n")
    run("user", "add", ADA, "--password-stdin", "--config", config, text_input="secret\n")
    db = sqlite3.connect(tmp_path / "data" / "accounts" / "accounts.db")
    db.executescript("ALTER TABLE user DROP COLUMN quota; PRAGMA user_version = 3;")
    db.close()
    run("user", "quota", ADA, "5MiB", "--config", config)
    row, = json.loads(run("user", "list", "--json", "--config", config).stdout)
    assert row["quota"] == 5 << 20
