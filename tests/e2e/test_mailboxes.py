# SPDX-License-Identifier: Apache-2.0
"""Dovecot serves the mailboxes by IMAP and POP3 with Mailboat's accounts, and accepts mail by LMTP."""
import imaplib
import json
import os
import poplib
import shutil
import signal
import smtplib
import socket
import socketserver
import ssl
import subprocess
import threading

import pytest

from client_hello import answer_of, hello, is_refused, is_taken
from mailboat import PATIENCE, Mailboat, free_port, smtp, until
from peers import wait_for_port

ADA, BOB, PASSWORD = "ada@example.org", "bob@example.org", "secret-of-both"
pytestmark = pytest.mark.skipif(shutil.which("dovecot", path="/usr/sbin:/usr/bin") is None, reason="Dovecot is not installed")


def sure(is_true, **options):
    until(is_true, **options)
    assert is_true()


class Mailboxes:
    """A server whose mailboxes Dovecot serves on free ports."""

    def __init__(self, mailboat, folder, deliver="lmtp", extra="", local="", lmtp=None):
        self.process = None
        self.ports = {name: free_port() for name in ("imap", "imaps", "pop3", "pop3s")}
        self.local = local
        lmtp = "" if lmtp is None else f"lmtp: \"{lmtp or 'unix:' + str(folder / 'lmtp')}\", "
        ports = ", ".join(f"{name}: {port}" for name, port in self.ports.items())
        self.server = mailboat(extra=f"mailboxes: {{deliver: {deliver}, {lmtp}address: 127.0.0.1, {ports}}}\n{extra}")
        for user in (ADA, BOB):
            self.server.add_user(user, PASSWORD)
        self.context = ssl.create_default_context(cafile=self.server.ca)

    def start(self):
        folder = self.server.data / "dovecot"
        folder.mkdir(exist_ok=True)
        (folder / "local.conf").write_text("auth_failure_delay = 0\ndefault_vsz_limit = 0\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n" + self.local)
        told = json.loads(self.server.cli("mailboxes", "setup", "--json").stdout)
        assert told["ports"] == self.ports and told["installed"] and not told["started"]
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", told["config"]], start_new_session=True)
        wait_for_port(self.ports["imaps"])

    def stop(self):
        if self.process is None:
            return
        os.killpg(self.process.pid, signal.SIGKILL)  # a regular stop is slow
        self.process.wait()
        self.process = None

    def imap(self, user=ADA, password=PASSWORD, secured=True):
        if secured:
            client = imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.context, timeout=PATIENCE)
        else:
            client = imaplib.IMAP4("localhost", self.ports["imap"], timeout=PATIENCE)
            client.starttls(self.context)
        client.login(user, password)
        return client

    def pop3(self, user=ADA, password=PASSWORD):
        client = poplib.POP3_SSL("localhost", self.ports["pop3s"], context=self.context, timeout=PATIENCE)
        client.user(user)
        client.pass_(password)
        return client

    def send(self, *to, subject="hello", text="Grüße\r\n", sender=ADA, options=()):
        with smtp(self.server, 587, user=sender, password=PASSWORD) as client:
            client.sendmail(sender, list(to), f"From: {sender}\r\nSubject: {subject}\r\n\r\n{text}".encode(), mail_options=options)

    def inbox(self, user=ADA):
        with self.imap(user) as client:
            client.select("INBOX", readonly=True)
            found = client.search(None, "ALL")[1][0].split()
            return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in found]


@pytest.fixture
def mailboat(tmp_path_factory, certificates):
    """Like the shared fixture, in folders with short names: Dovecot's sockets are there."""
    made = []

    def make(**options):
        made.append(Mailboat(tmp_path_factory.mktemp("m"), certificates, **options).start())
        return made[-1]
    yield make
    for server in made:
        server.stop()


@pytest.fixture
def mailboxes(mailboat, tmp_path_factory):
    made = []

    def make(**options):
        folder = tmp_path_factory.mktemp("s")
        os.chmod(folder, 0o755)
        for parent in folder.parents:
            if str(parent).startswith("/tmp/"):
                os.chmod(parent, parent.stat().st_mode | 0o011)
        made.append(Mailboxes(mailboat, folder, **options))
        made[-1].start()
        return made[-1]
    yield make
    for each in made:
        each.stop()


@pytest.mark.parametrize("deliver", ["lmtp", "maildir"])
def test_what_arrives_is_read_by_imap_and_pop3(mailboxes, deliver):
    boxes = mailboxes(deliver=deliver)
    boxes.send(ADA, BOB)
    boxes.send("ada+tag@example.org")
    until(lambda: len(boxes.inbox(ADA)) == 2 and len(boxes.inbox(BOB)) == 1)
    for user, count in ((ADA, 2), (BOB, 1)):
        letters = boxes.inbox(user)
        assert len(letters) == count and all("Grüße".encode() in m and b"Return-Path: <ada@example.org>" in m for m in letters)
    client = boxes.pop3(BOB)
    assert client.stat()[0] == 1 and b"Subject: hello" in client.retr(1)[1]
    client.quit()
    with boxes.imap(secured=False) as client:
        assert client.select("INBOX")[1] == [b"2"]


def test_passwords_are_mailboats_and_change_at_once(mailboxes):
    boxes = mailboxes()
    with pytest.raises(imaplib.IMAP4.error):
        boxes.imap(password="wrong")
    with pytest.raises(imaplib.IMAP4.error):
        boxes.imap(user="nobody@example.org")
    secret = boxes.server.cli("key", "add", ADA, "--name", "phone").stdout.split()[-1]
    boxes.imap(password=secret).logout()
    boxes.server.cli("user", "passwd", ADA, "--password-stdin", text_input="another secret\n")
    boxes.imap(password="another secret").logout()
    with pytest.raises(imaplib.IMAP4.error):
        boxes.imap(password=PASSWORD)
    boxes.server.cli("user", "disable", BOB)
    with pytest.raises(imaplib.IMAP4.error):
        boxes.imap(user=BOB)


def test_dovecot_speaks_tls_as_the_server_does(mailboxes):
    boxes = mailboxes()

    def say(port, **options):
        with socket.create_connection(("127.0.0.1", boxes.ports[port]), PATIENCE) as connection:
            connection.sendall(hello(**options))
            return answer_of(connection)
    for port in ("imaps", "pop3s"):
        for group in ("x25519", "secp256r1", "secp384r1"):
            assert is_taken(say(port, groups=(group,))), group
        for group in ("ffdhe2048", "ffdhe8192", "x448"):
            assert is_refused(say(port, groups=(group,))), group
        assert is_taken(say(port, groups=("secp256r1",), versions=(), suites=(0xC009,)))
        for suite in (0x009E, 0x0033, 0x009C, 0x002F, 0xC018, 0xC008, 0xC007):
            assert is_refused(say(port, groups=("secp256r1", "ffdhe2048"), versions=(), suites=(suite,))), hex(suite)
        assert is_refused(say(port, groups=("secp256r1",), versions=(), suites=(0xC009,), legacy=0x0302))


def test_while_dovecot_is_down_mail_waits_and_nothing_bounces(mailboxes):
    boxes = mailboxes()
    boxes.stop()
    boxes.send(ADA, subject="late")
    line = boxes.server.wait_log("deferred", f"to={ADA}")[0]
    assert "the LMTP server at" in line
    seen = boxes.server.cli("doctor", check=False).stdout
    assert "LMTP server" in seen and "mail is deferred until one listens" in seen and "start Dovecot: mailboat mailboxes setup --start" in seen
    boxes.start()
    until(lambda: len(boxes.inbox()) == 1, patience=2 * PATIENCE)  # retried every 15 seconds
    assert [b"Subject: late" in m for m in boxes.inbox()] == [True]
    assert not boxes.server.lines("bounced")


def test_a_full_mailbox_is_the_fate_of_one_recipient(mailboxes):
    """Each recipient has its own reply."""
    boxes = mailboxes(lmtp="")
    boxes.server.cli("user", "quota", ADA, "64KiB")
    boxes.send(ADA, subject="the first", text=("x" * 70 + "\r\n") * 700)
    sure(lambda: boxes.inbox())
    boxes.send(ADA, BOB, subject="the second", text=("y" * 70 + "\r\n") * 300, sender=BOB)
    boxes.server.wait_log("bounced", f"to={ADA}", "status=5.2.2")
    sure(lambda: len(boxes.inbox(BOB)) == 2)
    assert any(b"Subject: the second" in m for m in boxes.inbox(BOB)) and any(b"5.2.2" in m and b"multipart/report" in m for m in boxes.inbox(BOB))
    assert len(boxes.inbox(ADA)) == 1
    with boxes.imap() as client:  # messages stored by a mail program count, too
        assert client.append("Sent", None, None, b"Subject: x\r\n\r\n" + b"z" * 30000)[0] == "NO"


@pytest.mark.parametrize("deliver", ["lmtp", "maildir"])
def test_a_mailbox_that_is_not_ours_waits_until_it_is(mailboxes, deliver):
    boxes = mailboxes(deliver=deliver)
    boxes.send(BOB)
    sure(lambda: boxes.inbox(BOB))
    box, ours = boxes.server.maildir(BOB), boxes.server.maildir(BOB).stat()
    os.chmod(box, 0o700 if os.geteuid() == 0 else 0)
    if os.geteuid() == 0:
        os.chown(box, 0, 0)
    boxes.send(ADA, BOB, subject="late")
    boxes.server.wait_log("deferred", f"to={BOB}", "status=4.")
    sure(lambda: len(boxes.inbox(ADA)) == 1)
    os.chmod(box, 0o700)
    os.chown(box, ours.st_uid, ours.st_gid)
    boxes.server.cli("queue", "retry", "--all")
    sure(lambda: len(boxes.inbox(BOB)) == 2)
    assert not boxes.server.lines("bounced")


def test_who_reads_is_signed_out_when_the_account_changes(mailboxes):
    boxes = mailboxes(deliver="maildir")

    def ended(client):
        try:
            client.noop()
            return False
        except (imaplib.IMAP4.abort, OSError):
            return True
    ada, bob = boxes.imap(ADA), boxes.imap(BOB)
    boxes.server.cli("user", "disable", "ADA@example.org")
    sure(lambda: ended(ada))
    assert not ended(bob)
    boxes.server.cli("user", "passwd", BOB, "--password-stdin", text_input="another secret\n")
    sure(lambda: ended(bob))
    boxes.server.cli("user", "enable", ADA)
    secret = boxes.server.cli("key", "add", ADA, "--name", "phone").stdout.split()[-1]
    key, = (row["id"] for row in json.loads(boxes.server.cli("key", "list", "--json").stdout))
    phone, desk = boxes.imap(ADA, password=secret), boxes.pop3(ADA)
    bob = boxes.imap(BOB, password="another secret")
    boxes.server.cli("key", "revoke", key)
    sure(lambda: ended(phone))
    with pytest.raises(imaplib.IMAP4.error):
        boxes.imap(ADA, password=secret)
    sure(lambda: gone(desk))
    ada = boxes.imap(ADA)
    assert not ended(bob)
    boxes.server.cli("user", "remove", ADA)
    sure(lambda: ended(ada))


def gone(client):
    try:
        client.noop()
        return False
    except (poplib.error_proto, OSError):
        return True


def test_guesses_count_whichever_way_they_come(mailboxes):
    """One count for IMAP and submission: three guesses here and three there, neither enough alone, lock the client out.

    (The first lockout takes two seconds: whether the next try falls into it is the machine's affair.)"""
    boxes = mailboxes(deliver="maildir")

    def refused(client, *arguments, **options):
        with pytest.raises((imaplib.IMAP4.error, smtplib.SMTPAuthenticationError)):
            client(*arguments, **options)
    for _ in range(3):
        refused(smtp, boxes.server, 465, user=ADA, password="wrong")
        refused(boxes.imap, password="wrong")
    boxes.server.wait_log("auth_locked", f"user={ADA}", "client=127.0.0.1")
    boxes.server.cli("user", "unlock", ADA)
    assert boxes.imap().login
    boxes.server.stop()  # IMAP and POP3 continue, with the accounts only
    refused(boxes.imap, password="wrong")
    assert boxes.imap().login


def test_every_account_has_its_mail_whatever_its_name(mailboxes):
    boxes = mailboxes()
    strange, slash = ["o'brien@example.org", "x=y+z@example.org", "grüße@example.org"], "a/b@example.org"
    for user in strange + [slash, "x=y@example.org"]:
        boxes.server.add_user(user, PASSWORD)
    boxes.send(*strange, slash, ADA, options=["SMTPUTF8"])
    for user in strange:
        with imaplib.IMAP4_SSL("localhost", boxes.ports["imaps"], ssl_context=boxes.context, timeout=PATIENCE) as client:
            client.authenticate("PLAIN", lambda _: f"\0{user}\0{PASSWORD}".encode())
            sure(lambda: client.select("INBOX")[1] == [b"1"])
    sure(lambda: boxes.inbox(ADA))
    with pytest.raises(imaplib.IMAP4.error):  # Dovecot would look in another folder
        boxes.imap(slash)
    assert len(list((boxes.server.data / "mail/example.org/a%2Fb/Maildir/new").iterdir())) == 1
    assert not (boxes.server.data / "mail/example.org/a").exists() and not boxes.inbox("x=y@example.org") and boxes.server.queue_count() == 0


def test_delivery_to_an_address_and_port(mailboxes):
    boxes = mailboxes(lmtp=f"127.0.0.1:{free_port()}")
    boxes.send(ADA, BOB)
    sure(lambda: boxes.inbox(ADA) and boxes.inbox(BOB))
    assert boxes.server.queue_count() == 0


@pytest.mark.skipif(not os.path.exists("/usr/lib/dovecot/modules/lib90_sieve_plugin.so"), reason="dovecot-sieve is not installed")
def test_the_rules_of_a_user_hold(mailboxes):
    boxes = mailboxes()
    boxes.send(BOB, subject="first")
    sure(lambda: boxes.inbox(BOB))
    home = boxes.server.maildir(BOB).parent
    rules = home / ".dovecot.sieve"
    rules.write_text('require "fileinto";\nif header :contains "subject" "cheap" { fileinto "Junk"; }\n')
    os.chown(rules, home.stat().st_uid, home.stat().st_gid)
    boxes.send(BOB, subject="cheap watches")
    with boxes.imap(BOB) as client:
        sure(lambda: client.select("Junk", readonly=True)[1] == [b"1"])
    assert len(boxes.inbox(BOB)) == 1


def test_a_large_message_and_many(mailboxes):
    boxes = mailboxes()
    boxes.send(ADA, subject="large", text=("x" * 70 + "\r\n.\r\n") * 50000)
    for number in range(50):
        boxes.send(BOB, subject=str(number))
    until(lambda: len(boxes.inbox()) == 1 and len(boxes.inbox(BOB)) == 50)
    assert ("x" * 70 + "\r\n.\r\n").encode() * 50000 in boxes.inbox()[0]
    assert len(boxes.inbox(BOB)) == 50 and boxes.server.queue_count() == 0


def test_clients_that_others_wrote(mailboxes, tmp_path):
    boxes = mailboxes()
    boxes.send(ADA, subject="for curl")
    until(lambda: boxes.inbox())
    got = subprocess.run(["curl", "-sS", "--cacert", boxes.server.ca, "--user", f"{ADA}:{PASSWORD}", f"imaps://localhost:{boxes.ports['imaps']}/INBOX;MAILINDEX=1"],
                         capture_output=True, text=True, timeout=PATIENCE)
    assert "Subject: for curl" in got.stdout, got.stderr
    if shutil.which("mbsync") is None:
        pytest.skip("mbsync is not installed")
    (tmp_path / "rc").write_text(f"IMAPStore far\nHost localhost\nPort {boxes.ports['imaps']}\nUser {ADA}\nPass {PASSWORD}\nSSLType IMAPS\nCertificateFile {boxes.server.ca}\n\n"
                                 f"MaildirStore near\nInbox {tmp_path}/inbox\n\nChannel all\nFar :far:\nNear :near:\nCreate Near\nSyncState *\n")
    subprocess.run(["mbsync", "-c", tmp_path / "rc", "all"], check=True, capture_output=True, timeout=PATIENCE)
    assert any(b"Subject: for curl" in p.read_bytes() for p in (tmp_path / "inbox").rglob("*") if p.is_file())


def test_it_is_started_reloaded_and_stopped(mailboat, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("s")
    port = free_port()
    server = mailboat(extra=f"mailboxes: {{address: 127.0.0.1, imap: 0, imaps: {port}, pop3: 0, pop3s: 0, lmtp: \"unix:{tmp_path}/lmtp\"}}\n")
    try:
        assert "Dovecot is running" in server.cli("mailboxes", "setup", "--start").stdout
        wait_for_port(port)
        assert "has reloaded its configuration" in server.cli("mailboxes", "setup", "--start").stdout
        assert f"{port}, implicit TLS" in server.cli("settings", ADA).stdout
    finally:
        server.cli("mailboxes", "stop")
    with pytest.raises(OSError):
        imaplib.IMAP4_SSL("127.0.0.1", port, timeout=PATIENCE)


# ---- another LMTP server: replies per recipient ----

CARL = "carl@example.org"


class Picky(socketserver.StreamRequestHandler):
    """Bob's mailbox is full temporarily, Carl's permanently, Eve's does not exist."""

    def handle(self):
        replies, to = {BOB: b"452 4.2.2 quota exceeded", CARL: b"552 5.2.2 quota exceeded", "eve@example.org": b"550 5.1.1 gone"}, []
        self.wfile.write(b"220 lmtp\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"RCPT":
                to.append(line.split(b"<")[1].split(b">")[0].decode())
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                for recipient in to:
                    self.wfile.write(replies.get(recipient, b"250 2.0.0 saved") + b"\r\n")
                to = []
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250-lmtp\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n" if verb == b"LHLO" else b"250 ok\r\n")


def test_each_recipient_has_a_reply_of_its_own(mailboat, tmp_path):
    path = tmp_path / "lmtp"
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent).startswith("/tmp/"):
            os.chmod(parent, parent.stat().st_mode | 0o011)
    with socketserver.ThreadingUnixStreamServer(str(path), Picky) as peer:
        peer.block_on_close = False  # connections stay open for a moment
        os.chmod(path, 0o666)
        threading.Thread(target=peer.serve_forever, daemon=True).start()
        server = mailboat(extra=f"mailboxes: {{deliver: lmtp, lmtp: \"unix:{path}\"}}\n")
        for user in (ADA, BOB, CARL, "eve@example.org"):
            server.add_user(user, PASSWORD)
        with smtp(server, 587, user=ADA, password=PASSWORD) as client:
            client.sendmail(ADA, [ADA, BOB, CARL, "eve@example.org"], f"From: {ADA}\r\nSubject: three\r\n\r\nhi\r\n")
        server.wait_log("delivered", f"to={ADA}", "status=2.0.0", 'reply=saved')
        server.wait_log("bounced", f"to={CARL}", "code=552", "status=5.2.2", 'reply="quota exceeded"')
        server.wait_log("deferred", f"to={BOB}", "status=4.2.2")
        server.wait_log("bounced", "to=eve@example.org", "status=5.1.1")
        peer.shutdown()


class Unwilling(socketserver.StreamRequestHandler):
    """Rejects LHLO; `said` is what the client sends after that, until it closes the connection."""
    said = []

    def handle(self):
        self.wfile.write(b"220 lmtp\r\n")
        for line in self.rfile:
            self.said.append(line)
            self.wfile.write(b"554 5.3.2 not now\r\n" if line[:4] == b"LHLO" else b"221 bye\r\n")


def test_after_a_failed_step_the_server_is_told_quit(mailboat, tmp_path):
    path = tmp_path / "lmtp"
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent).startswith("/tmp/"):
            os.chmod(parent, parent.stat().st_mode | 0o011)
    with socketserver.ThreadingUnixStreamServer(str(path), Unwilling) as peer:
        peer.block_on_close = False
        os.chmod(path, 0o666)
        threading.Thread(target=peer.serve_forever, daemon=True).start()
        server = mailboat(extra=f"mailboxes: {{deliver: lmtp, lmtp: \"unix:{path}\"}}\n")
        server.add_user(ADA, PASSWORD)
        with smtp(server, 587, user=ADA, password=PASSWORD) as client:
            client.sendmail(ADA, [ADA], f"From: {ADA}\r\nSubject: later\r\n\r\nhi\r\n")
        server.wait_log("deferred", f"to={ADA}", "not now")
        until(lambda: b"QUIT\r\n" in Unwilling.said)
        assert b"QUIT\r\n" in Unwilling.said
        peer.shutdown()


def test_bad_words(mailboat, tmp_path):
    server = mailboat(extra="mailboxes: {imap: 20143}\n")
    told = server.cli("mailboxes", check=False)
    assert told.returncode == 64 and told.stderr.count("\n") == 1
    told = server.cli("mailboxes", "setup", "--start", "now", check=False)
    assert told.returncode == 64
    server.config.write_text(server.config.read_text().replace(f"data_dir: {server.data}", f"data_dir: {server.data} of mine"))
    told = server.cli("mailboxes", "setup", check=False)
    assert told.returncode == 78 and "data_dir" in told.stderr and told.stderr.count("\n") == 1
    told = server.cli("checkpassword", check=False)
    assert told.returncode == 64 and "program" in told.stderr
