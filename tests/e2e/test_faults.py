# SPDX-License-Identifier: Apache-2.0
"""Injected faults of the machine, and what must hold during and after each; docs/faults.md is their table."""
import contextlib
import errno
import json
import os
import resource
import signal
import smtplib
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from faults import SANITIZER, Board, cpu_seconds
from mailboat import Mailboat, PATIENCE, PROGRAM, free_port, memory_kib, smtp, until
from plain_peer import Peer

DAY_S, WEEK_S = 24 * 3600, 7 * 24 * 3600
LOOK_S, CALM_S = 0.6, 0.25  # observation time, and the CPU time allowed in it
USER, PASSWORD = "ada@example.org", "secret-of-ada"


LINE = b"x" * 98 + b"\n"
QUICK = "queue: {retry: {first: 1s, factor: 1}}\n"


def smarthost(port):
    return f"relay:\n  via: smarthost\n  smarthost: {{host: 127.0.0.1, port: {port}, tls: none}}\n"


class Faulty:
    """A server with fault injection."""

    def __init__(self, folder, certificates, **options):
        self.board = Board(folder / "board")
        self.server = Mailboat(folder / "server", certificates, environment=self.board.environment(), **options)
        self.server.start()
        self.server.add_user(USER, PASSWORD)

    def send(self, subject, size=1000, to=USER):
        """Returns the reply code at the end of the message, or at the step that rejected it."""
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

    def send_away(self, subject, to="bob@elsewhere.net"):
        with smtp(self.server, 587, user=USER, password=PASSWORD) as client:
            client.sendmail(USER, [to], f"Subject: {subject}\r\n\r\nhi\r\n")

    def arrived(self, subject):
        return len(self.server.arrivals(USER, subject))

    def pid(self, role):
        until(lambda: self.server.processes().get(role))
        return self.server.processes()[role][0]

    def stays_calm(self):
        """Checks that no process spins during the fault."""
        used = self.cpu()
        time.sleep(LOOK_S)
        assert self.cpu() - used < CALM_S

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
        it.board.end()
        it.server.stop()
        assert not [line for line in it.server.log if "Sanitizer" in line or "runtime error" in line or "Assertion" in line]


# ---- the queue's disk ----

@pytest.mark.parametrize("call,path,size", [("fdatasync", "mailboat.db-wal", 1000), ("fdatasync", "mailboat.db-wal", 100_000), ("fdatasync", "content", 100_000),
                                            ("fsync", "content", 100_000)])
def test_after_a_failed_sync_nothing_is_trusted(faulty, call, path, size):
    """The reply is 451, never 250; the affected process ends and a new one starts."""
    it = faulty()
    assert it.send("before", size) == 250
    before = it.pid("queue")
    with it.board.fail(call, "queue", path):
        assert it.send("while it fails", size) in (451, 421)
        it.server.wait_log("store_failed")
        it.server.wait_log("process_died", "role=queue")
    it.send_until_accepted("after", size)
    assert it.pid("queue") != before
    assert it.arrived("before") == 1 and it.arrived("after") >= 1
    until(lambda: it.server.queue_count() == 0)
    assert it.server.queue_count() == 0
    assert not it.server.lines("content_missing")  # files of a commit that the WAL may contain stay
    assert {text.count(LINE) for text in it.server.mail(USER)} == {size // 100}


def send_many(it):
    """Sends 50 messages of 30 KB, some pages of the queue's log each; returns how many were accepted."""
    with smtplib.SMTP("127.0.0.1", it.server.ports[25], timeout=PATIENCE) as client:
        for sent in range(50):
            try:
                client.sendmail("bob@elsewhere.net", [USER], "Subject: many\r\n\r\n" + 300 * ("x" * 98 + "\r\n"))
            except smtplib.SMTPException:  # refused: not stored
                return sent
    return 50


def logs_open(pid):
    """How often a process has the queue's log open."""
    return sum(link.resolve().name == "mailboat.db-wal" for link in Path(f"/proc/{pid}/fd").iterdir())


def test_a_failed_sync_while_the_log_is_moved(faulty):
    """A thread moves the queue's log into the database, in the sandbox; when that cannot be synced, the process
    ends, and nothing is lost."""
    it = faulty()
    before, sent = it.pid("queue"), 0
    while logs_open(before) < 2:
        sent += send_many(it)
        assert sent < 3000
    with it.board.fail("fdatasync", "queue", "mailboat.db$", times=1) as failed:
        while not failed.failed:
            sent += send_many(it)
            assert sent < 6000
        it.server.wait_log("store_failed")
    it.send_until_accepted("after")
    assert it.pid("queue") != before
    until(lambda: it.server.queue_count() == 0)
    assert it.arrived("after") == 1 and it.arrived("many") >= sent


# ---- descriptors ----

def test_without_descriptors_those_who_do_nothing_make_room(faulty):
    it = faulty(wrapper=["prlimit", "--nofile=256:256"], extra="processes: {smtpd: 1}\n")
    callers = [socket.create_connection(("127.0.0.1", it.server.ports[25]), PATIENCE) for _ in range(300)]
    assert callers[-1].recv(100).startswith(b"220")
    it.stays_calm()
    heard = callers[0].makefile("rb").readlines()
    assert [line[:3] for line in heard] == [b"220", b"421"], heard
    for caller in callers:
        caller.close()
    assert it.send("again") == 250 and it.arrived("again") == 1


def test_without_descriptors_nobody_is_let_in_and_nothing_spins(faulty):
    it = faulty(extra="processes: {smtpd: 1}\n")
    with it.board.fail("accept", "smtpd", error=errno.EMFILE):
        caller = socket.create_connection(("127.0.0.1", it.server.ports[25]), PATIENCE)
        it.server.wait_log("accept_failed")
        it.stays_calm()
        assert len(it.server.lines("accept_failed")) == 1
    with caller:
        assert caller.recv(100).startswith(b"220")
    assert it.send("again") == 250 and it.arrived("again") == 1


def test_control_sockets_without_descriptors_do_not_spin(faulty):
    it = faulty()
    paths = [it.server.data / "queue/control.sock", it.server.data / "auth.sock"]
    with it.board.fail("accept", "queue", error=errno.EMFILE) as queue, it.board.fail("accept", "auth", error=errno.EMFILE) as auth:
        callers = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in paths]
        for caller, path in zip(callers, paths):
            caller.connect(str(path))
        until(lambda: queue.failed and auth.failed)
        it.stays_calm()
        assert 0 < queue.failed < 30 and 0 < auth.failed < 30
    for caller in callers:
        caller.close()
    assert it.server.cli("queue", "list", "--json").returncode == 0


def test_the_web_without_descriptors_does_not_spin(faulty):
    ports = free_port(), free_port()
    it = faulty(extra=f"web: {{address: 127.0.0.1, port: {ports[0]}, tls_port: {ports[1]}}}\n")
    with it.board.fail("accept", "web", error=errno.EMFILE) as rule:
        callers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for port in ports]
        it.server.wait_log("accept_failed", " web ")
        it.stays_calm()
        assert rule.failed < 30 and len(it.server.lines("accept_failed")) <= 2
    callers[0].sendall(b"GET /nothing HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
    assert callers[0].recv(100).startswith(b"HTTP/1.1 4")
    for caller in callers:
        caller.close()


def test_with_too_few_descriptors_it_says_so_and_ends(faulty, tmp_path, certificates):
    server = Mailboat(tmp_path / "poor", certificates, wrapper=["prlimit", "--nofile=255:255"])
    server.start(wait=False)
    assert server.ended() == os.EX_OSERR
    assert "less than 256" in "\n".join(server.log)
    server.stop()


def test_a_lost_descriptor_loses_no_content(faulty):
    """The descriptor of a large content is lost between processes: delivery is
    retried, and no empty message is delivered in its place."""
    it = faulty(extra=QUICK)
    for call, role, path, skip, code in (("recvfd", "smtpd", "", 0, 451), ("recvfd", "local", "", 0, 250), ("open", "queue", "content/", 3, 250)):
        with it.board.fail(call, role, path, error=errno.EMFILE, skip=skip, times=1) as rule:
            assert it.send(role, 200_000) == code
            texts = it.server.arrivals(USER, role) if code == 250 else []
            assert rule.failed == 1, role
        assert [text.count(LINE) for text in texts] == [2000] * len(texts) and len(texts) == (code == 250)
    until(lambda: not list((it.server.data / "queue" / "spool").iterdir()))
    assert not list((it.server.data / "queue" / "spool").iterdir())


def test_a_child_is_joined_again_once_there_is_room(faulty):
    it = faulty()
    for call, role, error in (("socketpair", "supervisor", errno.EMFILE), ("recvfd", "smtpd", errno.EMFILE), ("fork", "supervisor", errno.ENOMEM)):
        with it.board.fail(call, role, error=error, times=1) as rule:
            os.kill(it.pid("queue"), signal.SIGKILL)
            until(lambda: rule.failed > 0)
            assert rule.failed > 0, call
            it.send_until_accepted(f"after {call}")
        assert it.arrived(f"after {call}") == 1


def test_a_lost_descriptor_sends_nobody_an_empty_message(faulty):
    peer = Peer()
    it = faulty(relay=smarthost(peer.port), extra=QUICK)
    with it.board.fail("recvfd", "relay", error=errno.EMFILE, times=1) as rule:
        with smtp(it.server, 587, user=USER, password=PASSWORD) as client:
            client.sendmail(USER, ["bob@elsewhere.net"], "Subject: large\r\n\r\n" + ("x" * 98 + "\r\n") * 2000)
        it.server.wait_log("deferred", "no descriptor was free")
        it.server.wait_log("delivered", "to=bob@elsewhere.net")
        assert rule.failed == 1
    assert len(peer.letters) == 1 and peer.letters[0][1].count(b"x") >= 196_000


# ---- the clock ----

def another_attempt(it):
    it.server.wait_log("deferred", count=len(it.server.lines("deferred")) + 1)


def test_jumps_of_the_clock_neither_expire_nor_freeze(faulty):
    """A message is retried as usual, without a bounce or a warning, while the clock jumps
    a week ahead and two back; also across a restart of the queue process."""
    peer = Peer()
    peer.says = "451 4.2.0 later"
    it = faulty(relay=smarthost(peer.port), extra=QUICK)
    it.send_away("waits")
    another_attempt(it)
    for seconds, where in ((WEEK_S, "forward"), (-WEEK_S, "back")):
        jumps = len(it.server.lines("clock_jumped", " queue "))
        it.board.move_clock(seconds)
        it.server.wait_log("clock_jumped", " queue ", f"direction={where}", count=len(it.server.lines("clock_jumped", " queue ", f"direction={where}")) + 1)
        os.kill(it.pid("queue"), signal.SIGKILL)
        another_attempt(it)
        assert len(it.server.lines("clock_jumped", " queue ")) == jumps + 1  # logged once, not by each process
    assert it.server.lines("expired") == [] and it.server.lines("bounced") == []
    assert not it.server.lines("accepted", "protocol=report")
    peer.says = "250 ok"
    it.server.wait_log("delivered", "to=bob@elsewhere.net")
    assert it.server.queue_count() == 0


# ---- DNS ----

class Names:
    """A DNS server with one address for every name; while it is away it is silent, or replies with a failure."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port, self.gone, self.asked = self.socket.getsockname()[1], None, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, who = self.socket.recvfrom(4096)
            self.asked += 1
            if self.gone == "silent":
                continue
            end = query.index(b"\0", 12) + 5
            if self.gone == "helpless":
                self.socket.sendto(query[:2] + b"\x81\x82\0\1\0\0\0\0\0\0" + query[12:end], who)
                continue
            wants_address = query[end - 4:end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if wants_address else b""
            head = query[:2] + b"\x85\x80\0\1" + (b"\0\1" if answer else b"\0\0") + b"\0\0\0\0"
            self.socket.sendto(head + query[12:end] + answer, who)


def by_name(peer, names, certificates):
    return {"relay": f"relay:\n  via: smarthost\n  ca_file: {certificates}/ca.pem\n  smarthost: {{host: mx.example.org, port: {peer.port}, tls: implicit}}\n",
            "extra": QUICK + f'resolver: {{servers: ["127.0.0.1:{names.port}"], dnssec: off}}\n'}


def test_without_dns_mail_waits_and_goes_once_it_is_back(faulty, certificates):
    peer, names = Peer(certificates), Names()
    names.gone = "silent"
    it = faulty(**by_name(peer, names, certificates))
    for number in range(10):
        it.send_away(f"number {number}", f"bob{number}@elsewhere.net")
    until(lambda: names.asked > 0)
    it.stays_calm()
    assert it.server.lines("bounced") == [] and it.server.queue_count() == 10 and peer.letters == []
    names.gone = None
    it.server.wait_log("delivered", count=10)
    assert it.server.queue_count() == 0


def test_a_clock_that_jumps_back_leaves_no_dead_resolver(faulty, certificates):
    """A cache entry of the resolver that would now live for a day must be dropped."""
    peer, names = Peer(certificates), Names()
    names.gone = "helpless"
    it = faulty(**by_name(peer, names, certificates))
    it.board.move_clock(DAY_S)
    it.send_away("hello")
    it.server.wait_log("deferred", "temporary DNS failure")
    names.gone = None
    it.board.move_clock(0)
    it.server.wait_log("clock_jumped", " relay ")
    it.server.wait_log("delivered", "to=bob@elsewhere.net")
    assert len(peer.letters) == 1 and it.server.queue_count() == 0


# ---- disks: read errors, no space, partial writes ----

def test_a_mailbox_folder_that_cannot_be_synced(faulty):
    """The message is deferred; the next attempt writes it again instead of trusting the file, and there is one copy."""
    it = faulty(extra=QUICK)
    assert it.send("first") == 250 and it.arrived("first") == 1
    with it.board.fail("fsync", "local", "/new$", times=1), it.board.count("write", "local", "/tmp/") as written:
        assert it.send("second") == 250
        it.server.wait_log("deferred", "Input/output error")
        it.server.wait_log("delivered", "was in the mailbox already")
        assert written.met == 2
    assert it.arrived("second") == 1 and len(it.server.mail(USER)) == 2


PEOPLE = [USER, "bea@example.org", "cleo@example.org"]


def to_people(it, subject):
    """One message to three mailboxes: one batch."""
    for user in PEOPLE[1:]:
        it.server.add_user(user, PASSWORD)
    with smtplib.SMTP("127.0.0.1", it.server.ports[25], timeout=PATIENCE) as client:
        assert client.sendmail("bob@elsewhere.net", PEOPLE, f"Subject: {subject}\r\n\r\nhi\r\n") == {}


def copies(it, subject):
    return [len(it.server.arrivals(user, subject)) for user in PEOPLE]


def syncs_as_a_whole(folder):
    """True on ext4 and XFS (src/io/whole_sync.h)."""
    system = subprocess.run(["stat", "-f", "-c", "%t", str(folder)], capture_output=True, text=True, check=True)
    return system.stdout.strip() in ("ef53", "58465342")


def test_a_batch_is_synced_as_a_whole(faulty):
    """Three mailboxes cost one sync for all files and one for all folders, where the file system permits."""
    it = faulty()
    whole = syncs_as_a_whole(it.server.folder)
    with it.board.count("syncfs", "local") as together, it.board.count("fdatasync", "local", "/tmp/") as each:
        to_people(it, "together")
        until(lambda: copies(it, "together") == [1, 1, 1])
        until(lambda: (together.met, each.met) == ((2, 0) if whole else (0, 3)))


@pytest.mark.parametrize("skip", [0, 1])
def test_after_a_failed_sync_of_the_whole_each_has_its_own(faulty, skip):
    """The failure may be of another program's file: what can be synced is delivered, once, and nothing waits."""
    it = faulty()
    whole = syncs_as_a_whole(it.server.folder)
    with it.board.fail("syncfs", "local", skip=skip, times=1) as together, \
            it.board.count("fdatasync", "local", "/tmp/") as files, it.board.count("fsync", "local", "/new$") as folders:
        to_people(it, "each")
        until(lambda: copies(it, "each") == [1, 1, 1])
        assert together.failed == whole
        if whole:  # the names can be seen before their folders are synced
            until(lambda: (files.met, folders.met) == ((3, 0) if skip == 0 else (0, 3)))
    assert not it.server.lines("deferred")


def test_a_file_that_no_sync_reaches_waits_alone(faulty):
    """Neither the whole nor one of the files can be synced: that one is deferred, and arrives later."""
    it = faulty(extra=QUICK)
    with it.board.fail("syncfs", "local"), it.board.fail("fdatasync", "local", "example.org/bea", times=1) as failed:
        to_people(it, "alone")
        it.server.wait_log("deferred", "Input/output error")
        assert failed.failed == 1
    until(lambda: copies(it, "alone") == [1, 1, 1])
    assert all("to=bea@example.org" in line for line in it.server.lines("deferred"))


def test_what_filled_the_mailbox_in_an_attempt_before_is_not_too_much_in_the_next(faulty):
    """The first attempt ends between the message and its sync; at the next one its file is already in the count."""
    it = faulty()
    assert it.send("first") == 250 and it.arrived("first") == 1
    size = len(it.server.mail(USER)[0])
    it.server.cli("user", "quota", USER, str(2 * size + len("second") - len("first")))
    with it.board.fail("fsync", "local", "/new$", times=1):
        assert it.send("second") == 250
        it.server.wait_log("deferred", "Input/output error")
    (it.server.maildir(USER) / "maildirsize").unlink()
    it.server.cli("queue", "retry", "--all")
    it.server.wait_log("delivered", "was in the mailbox already")
    assert it.arrived("second") == 1 and not it.server.lines("bounced")
    assert it.send("third") == 552  # now it is full


@pytest.mark.parametrize("call,role,path", [("write", "queue", "mailboat.db-wal"), ("write", "local", "/tmp/"), ("write", "smtpd", "")])
def test_a_disk_with_errors(faulty, call, role, path):
    """Accepted messages arrive, messages that cannot be stored are not accepted, and the log stays small."""
    it = faulty(extra=QUICK)
    sent = {"before": it.send("before", 100_000)}
    since = len(it.server.log)
    with it.board.fail(call, role, path) as rule:
        sent["while"] = it.send("while", 100_000)
        until(lambda: rule.failed > 0)
        assert rule.failed > 0 and sent["while"] == (250 if role == "local" else 451)
        it.stays_calm()
        assert len(it.server.log) - since < 40
    it.send_until_accepted("after", 100_000)
    sent["after"] = 250
    for subject, code in sent.items():
        assert code != 250 or it.arrived(subject) >= 1, subject
    assert all(text.count(LINE) == 1000 for text in it.server.mail(USER))


@pytest.mark.parametrize("role,path", [("queue", "mailboat.db"), ("auth", "accounts.db")])
def test_a_process_that_cannot_read_is_started_until_it_can(faulty, role, path):
    it = faulty(extra=QUICK)
    assert it.send("before") == 250
    with it.board.fail("read", role, path, times=4) as rule:
        os.kill(it.pid(role), signal.SIGKILL)
        it.server.wait_log("start_failed", f" {role} ")
        it.send_until_accepted("after")
        until(lambda: rule.failed == 4)
        assert rule.failed == 4
    assert it.arrived("before") == 1 and it.arrived("after") == 1


def test_a_full_disk_is_told_once(faulty):
    it = faulty(extra=QUICK)
    with it.board.fail("write", "queue", "mailboat.db", error=errno.ENOSPC), it.board.fail("write", "smtpd", "", error=errno.ENOSPC):
        codes = {it.send(f"full {number}", size) for number in range(10) for size in (1000, 100_000)}
        assert codes == {452}
        it.stays_calm()
        assert len(it.server.lines("store_full")) == 1 and len(it.server.lines("spool_failed")) <= len(it.server.processes()["smtpd"])
    assert not it.server.lines("process_died")
    it.send_until_accepted("room again")
    assert it.arrived("room again") == 1 and len(it.server.mail(USER)) == 1


def test_parts_of_writes_and_reads_make_whole_messages(faulty):
    """Reads and writes are short everywhere: no data is missing."""
    it = faulty(extra=QUICK)
    rules = [it.board.fail(call, role, "", error=0, octets_max=700) for role in ("smtpd", "queue", "local", "pickup")
             for call in ("write", "read")]
    rules += [it.board.fail("send", "smtpd", "", error=0, octets_max=7)]
    for size in (1000, 300_000):
        assert it.send(f"of {size}", size) == 250
        text, = it.server.arrivals(USER, f"of {size}")
        assert text.count(LINE) == size // 100
    assert sum(rule.failed > 0 for rule in rules) >= 4


# ---- the accounts' disk ----

ALIAS = ("alias", "add", "list@example.org", USER, "one@far.example")


def aliases(it):
    return len(json.loads(it.server.cli("alias", "list", "--json").stdout))


@pytest.mark.parametrize("call,path,error,code", [("write", "accounts.db", errno.ENOSPC, 75), ("write", "accounts.db-journal", errno.ENOSPC, 75),
                                                  ("fdatasync", "accounts.db", errno.EIO, 70)])
def test_a_change_of_the_accounts_that_the_disk_refuses_is_told_and_not_half_done(faulty, call, path, error, code):
    it = faulty()
    with it.board.fail(call, "auth", path, error=error) as rule:
        done = it.server.cli(*ALIAS, check=False)
        assert rule.failed > 0 and done.returncode == code and done.stderr.count("\n") == 1 and done.stdout == ""
    assert aliases(it) == 0
    it.server.cli(*ALIAS)
    assert aliases(it) == 2 and not it.server.lines("process_died")


def test_a_change_of_the_accounts_whose_writer_dies_is_told_and_not_half_done(faulty):
    it = faulty()
    auth = it.pid("auth")
    os.kill(auth, signal.SIGSTOP)
    asking = subprocess.Popen([PROGRAM, *ALIAS, "--config", it.server.config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: waits_at_a_socket(asking.pid))
    os.kill(auth, signal.SIGKILL)
    said, told = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 75 and told.count("\n") == 1 and said == ""
    until(lambda: it.server.processes().get("auth", [auth]) != [auth])
    assert aliases(it) == 0
    it.server.cli(*ALIAS)
    assert aliases(it) == 2


def waits_at_a_socket(pid):
    """True if the process has sent its request and waits for the answer."""
    sockets = [fd for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink() and os.readlink(fd).startswith("socket:")]
    return sockets != [] and Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


# ---- silent clients ----

def is_hung_up(caller):
    """Reads the server's last reply, if any, and the end of the connection."""
    caller.settimeout(PATIENCE)
    try:
        while caller.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


START = b"EHLO me\r\nMAIL FROM:<bob@elsewhere.net>\r\n" + f"RCPT TO:<{USER}>\r\n".encode() + b"DATA\r\n"


def greeted(server, *words):
    """Returns a connection to port 25 whose client has read the greeting, and sends a message only after 354."""
    caller = socket.create_connection(("127.0.0.1", server.ports[25]), PATIENCE)
    heard = caller.recv(1000)
    for said in words:
        caller.sendall(said)
        while said == START and b"\r\n354 " not in heard:
            more = caller.recv(1000)
            if not more:
                raise ConnectionResetError
            heard += more
    return caller


def test_who_falls_silent_is_waited_for_so_long_and_holds_little(faulty):
    """Half-open connections, a client that sends and never reads, one that stops in the
    middle of a message, one that begins no TLS: each ends at its timeout, and uses little memory until then."""
    it = faulty(extra="processes: {smtpd: 1}\n" + QUICK)
    smtpd = it.pid("smtpd")
    said = {"nothing": (), "half a command": (b"EHLO m",), "half a message": (START, b"Subject: half\r\n\r\n" + b"x" * 20_000)}
    callers = [greeted(it.server, *words) for words in said.values()]
    callers.append(socket.create_connection(("127.0.0.1", it.server.ports[465]), PATIENCE))  # no TLS
    before = memory_kib(smtpd)
    deaf = [greeted(it.server) for _ in range(10)]
    for caller in deaf:
        caller.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            for _ in range(400):
                caller.send((b"EHLO " + b"x" * 200 + b"\r\n") * 200)
    assert it.send("beside them") == 250 and it.arrived("beside them") == 1
    assert memory_kib(smtpd) - before < 8_000
    it.stays_calm()
    for seconds in (60, 11 * 60):  # within the first, the client without TLS gets a plain text greeting, which starts its timeout
        it.board.pass_time(seconds)
        assert it.send("after them") == 250
    assert it.arrived("after them") >= 1
    assert all(is_hung_up(caller) for caller in [*callers, *deaf])
    assert it.pid("smtpd") == smtpd and not it.server.lines("process_died")


def test_a_peer_that_falls_silent_is_left_at_its_time(faulty):
    peer = Peer()
    peer.stop_at_data = True
    it = faulty(relay=smarthost(peer.port), extra=QUICK)
    it.send_away("first")
    assert peer.silent.wait(PATIENCE)
    peer.stop_at_data = False
    it.stays_calm()
    it.board.pass_time(15 * 60)
    it.send_away("second")
    it.server.wait_log("deferred", "to=bob@elsewhere.net")
    it.server.wait_log("delivered", "to=bob@elsewhere.net", count=2)
    assert it.server.queue_count() == 0


# ---- memory ----

def test_memory_that_runs_out_ends_one_process_and_loses_nothing(faulty):
    it = faulty(extra=QUICK)
    accepted = []
    for role in ("smtpd", "queue", "local", "auth", "pickup", "relay"):
        with it.board.fail("malloc", role, error=errno.ENOMEM, times=3) as rule:
            for number in range(3):
                subject = f"{role} {number}"
                try:
                    with smtp(it.server, 587, user=USER, password=PASSWORD):  # so that auth has work, too
                        code = it.send(subject, 50_000)
                except (OSError, smtplib.SMTPException):
                    code = 0
                accepted += [subject] if code == 250 else []
        it.send_until_accepted(f"after {role}")
        accepted.append(f"after {role}")
        if not SANITIZER and role not in ("pickup", "relay"):  # a sanitizer has its own malloc; these two have no work here
            assert rule.failed > 0, role
    for subject in accepted:
        assert it.arrived(subject) >= 1, subject
    assert it.server.process.poll() is None


@pytest.mark.skipif(bool(SANITIZER), reason="a sanitizer needs more address space than that")
def test_under_a_limit_of_memory_the_server_stays(faulty):
    """Each process has a small limit; hundreds of incoming messages exceed it: the process ends,
    logs that and is restarted, and the messages accepted before arrive."""
    it = faulty(wrapper=["prlimit", f"--as={66 << 20}"], extra="processes: {smtpd: 1}\n" + QUICK)
    assert it.send("before", 100_000) == 250
    callers = []
    for _ in range(700):
        with contextlib.suppress(OSError):
            callers.append(greeted(it.server, START, LINE.replace(b"\n", b"\r\n") * 300))
    it.server.wait_log("process_died", "role=smtpd")
    for caller in callers:
        caller.close()
    it.send_until_accepted("after")
    assert it.arrived("before") == 1 and it.arrived("after") == 1 and it.server.process.poll() is None
    it.stays_calm()
