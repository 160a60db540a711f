# SPDX-License-Identifier: Apache-2.0
"""The drop-in sendmail, mailq and newaliases as programs call them, with and without a running server; and
hostile files in the drop directory."""
import json
import os
import re
import shutil
import signal
import stat
import subprocess
from email import message_from_bytes
from pathlib import Path

import pytest

import mailboat as mailboat_module
from mailboat import PATIENCE, Mailboat, smtp, until

USER, PASSWORD = "ada@example.org", "secret-of-ada"
NOBODY = 65534
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


NUL_BODY = b"To: ada@example.org\nSubject: output\n\nbefore\0after\nnext\n"


class Programs:
    """Links to the program, as a package installs them, called by a user who is not the server's."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        folder.mkdir()
        shutil.copy(mailboat_module.PROGRAM, folder / "mailboat")
        for name in ("sendmail", "mailq", "newaliases"):
            (folder / name).symlink_to("mailboat")
        for file in (folder, folder / "mailboat"):
            file.chmod(0o755)
        self.sendmail = folder / "sendmail"

    def call(self, program, *arguments, message="", user=NOBODY, check=0, config=True):
        drop = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"] if os.geteuid() == 0 and user != 0 else []
        options = ["-C", str(self.server.config)] if config else []
        done = subprocess.run([*drop, str(self.folder / program), *options, *arguments], input=message.encode() if isinstance(message, str) else message,
                              capture_output=True, timeout=60, cwd="/")
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        if check is not None:
            assert done.returncode == check, f"{program} {arguments}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def send(self, *arguments, **options):
        return self.call("sendmail", *arguments, **options)


def make(tmp_path, certificates, **options):
    server = Mailboat(tmp_path / "server", certificates, **options).start()
    server.add_user(USER, PASSWORD)
    server.add_user("bob@example.org", "secret-of-bob")
    for alias in ("root", "nobody"):
        server.cli("alias", "add", f"{alias}@example.org", USER)
    server.programs = Programs(tmp_path / "bin", server)
    return server


@pytest.fixture
def server(tmp_path, certificates):
    server = make(tmp_path, certificates)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory, certificates):
    server = make(tmp_path_factory.mktemp("sendmail"), certificates)
    yield server
    server.stop()


def arrival(server, subject, to=USER):
    """The message with this subject, once it is in the mailbox."""
    for _ in range(PATIENCE * 20):
        for text in server.mail(to):
            if f"\nSubject: {subject}\n".encode() in text:
                return message_from_bytes(text)
        with server.changed:
            server.changed.wait(0.05)
    raise AssertionError(f"no message '{subject}' for {to} came; the log ends:\n" + "\n".join(server.log[-20:]))


def body(message):
    return message.get_payload()


def drops(server):
    return sorted(p.name for p in (server.data / "drop").iterdir())


# ---- calls by programs ----

CALLS = {
    "php": (["-t", "-i"], "nobody@example.org", True),
    "php_with_sender": (["-t", "-i", "-fshop@example.org"], "shop@example.org", True),
    "phpmailer": (["-oi", "-fshop@example.org", "-t"], "shop@example.org", True),
    "cron_of_debian": (["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"], "nobody@example.org", False),
    "cronie": (["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"], "root@example.org", True),
    "anacron": (["-FAnacron", "-odi", "root"], "nobody@example.org", False),
    "atd": (["-i", "root"], "nobody@example.org", False),
    "mdadm": (["-t", "-froot@example.org"], "root@example.org", True),
    "git_send_email": (["-f", "me@example.org", "-i", USER], "me@example.org", False),
    "mutt": (["-B8BITMIME", "-f", "me@example.org", "-N", "failure", "-R", "hdrs", "--", USER], "me@example.org", False),
    "null_sender": (["-i", "-f", "", USER], "", False),
    "null_sender_in_brackets": (["-i", "-f", "<>", USER], "", False),
    "sender_with_a_name": (["-i", "-f", "Me <me@example.org>", USER], "me@example.org", False),
}


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_client_sendmail_calls_arrive_with_their_sender(server, state):
    if state == "stopped":
        server.stop()
    for name, (arguments, _, to_field) in CALLS.items():
        to = "To: root\n" if to_field else ""
        server.programs.send(*arguments, message=f"{to}Subject: call {name}\n\nGr\u00fc\u00dfe\n")
    if state == "stopped":
        assert len(drops(server)) == len(CALLS)
        server.start()
    for name, (arguments, sender, _) in CALLS.items():
        got = arrival(server, f"call {name}")
        assert got["Return-Path"] == f"<{sender}>", name
        assert len(got.get_all("Date")) == len(got.get_all("Message-ID")) == len(got.get_all("From")) == 1, name
        assert body(got) == "Gr\u00fc\u00dfe\n" or got.get_payload(decode=True) == "Gr\u00fc\u00dfe\n".encode(), name
        if os.geteuid() == 0:
            assert f"(local, by uid {NOBODY})" in got["Received"], name
    for _ in range(100):
        if not drops(server):
            break
        with server.changed:
            server.changed.wait(0.05)
    assert drops(server) == []
    assert arrival(server, "call anacron")["From"].startswith('"Anacron" <') and arrival(server, "call mutt")["Received"]


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed")
def test_client_php_mail(running):
    path = f"{running.programs.sendmail} -C {running.config} -t -i"
    done = subprocess.run(["php", "-d", f"sendmail_path={path}", "-r",
                           'exit(mail("Ada <ada@example.org>, bob@example.org", "from php", "one\\n.\\ntwo\\n", "From: shop@example.org\\r\\nBcc: root\\r\\nX-Shop: 7",'
                           ' "-fbounces@example.org") ? 0 : 1);'], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    got = arrival(running, "from php")
    assert got["Return-Path"] == "<bounces@example.org>" and got["From"] == "shop@example.org" and got["Bcc"] is None and got["X-Shop"] == "7"
    assert "one\n.\ntwo\n" in body(got)
    arrival(running, "from php", "bob@example.org")
    refused = subprocess.run(["php", "-d", f"sendmail_path={path}", "-r", 'exit(mail("not-there@example.org", "no", "no") ? 0 : 1);'],
                             capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1


@pytest.mark.skipif(not Path("/usr/lib/git-core/git-send-email").exists(), reason="git-email is not installed")
def test_client_git_send_email(running, tmp_path):
    def git(*arguments):
        return subprocess.run(["git", "-c", "user.name=Me", "-c", "user.email=me@example.org", *arguments], cwd=tmp_path, capture_output=True, text=True,
                              timeout=60, env={**os.environ, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}, stdin=subprocess.DEVNULL)

    git("init", "-q")
    (tmp_path / "file").write_text("one\n")
    git("add", "file")
    git("commit", "-qm", "add a file")
    assert git("format-patch", "--root", "-o", "patches").returncode == 0
    done = git("send-email", "--quiet", f"--sendmail-cmd={running.programs.sendmail} -C {running.config}", "--envelope-sender=bounces@example.org",
               "--from=me@example.org", f"--to={USER}", "--cc=bob@example.org", "--suppress-cc=all", "--confirm=never", "patches")
    assert done.returncode == 0, done.stdout + done.stderr
    got = arrival(running, "[PATCH] add a file")
    assert got["Return-Path"] == "<bounces@example.org>" and "+one\n" in body(got)


@pytest.mark.skipif(shutil.which("mutt") is None, reason="mutt is not installed")
def test_client_mutt(running, tmp_path):
    (tmp_path / "muttrc").write_text(f'set sendmail="{running.programs.sendmail} -C {running.config} -oem -oi"\nset from="me@example.org"\n'
                                     'set realname="Me"\nset use_envelope_from=yes\nset dsn_notify="failure,delay"\nset dsn_return=hdrs\nset use_8bitmime=yes\n'
                                     'set copy=no\nset sendmail_wait=30\n')
    done = subprocess.run(["mutt", "-n", "-F", str(tmp_path / "muttrc"), "-s", "from mutt", "--", USER], input="hello\n", capture_output=True, text=True,
                          timeout=60, env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    got = arrival(running, "from mutt")
    assert got["Return-Path"] == "<me@example.org>" and got["From"] == "Me <me@example.org>"


@pytest.mark.skipif(shutil.which("s-nail") is None, reason="s-nail is not installed")
def test_client_s_nail(running, tmp_path):
    done = subprocess.run(["s-nail", "-:/", "-S", f"mta={running.programs.sendmail}", "-S", f"mta-arguments=-C {running.config}", "-S", "sendwait",
                           "-r", "me@example.org", "-s", "from s-nail", USER], input="hello\n", capture_output=True, text=True, timeout=60,
                          env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert arrival(running, "from s-nail")["Return-Path"] == "<me@example.org>"


# ---- the message ----

def test_a_lone_dot_ends_the_message_without_i(running):
    running.programs.send(USER, message="Subject: dots end\n\none\n..\n.\nnot any more\n")
    running.programs.send("-i", USER, message="Subject: dots stay\n\none\n.\ntwo\n")
    running.programs.send("-oi", "-f", "me", USER, message="Subject: no newline\n\n.")
    assert body(arrival(running, "dots end")) == "one\n..\n"
    assert body(arrival(running, "dots stay")) == "one\n.\ntwo\n"
    assert body(arrival(running, "no newline")) == ".\n"


def test_recipients_of_the_header_and_of_the_line(running):
    """Recipients of the command line are added, as with Postfix; Bcc is never sent."""
    running.programs.send("-t", "bob@example.org", message="To: friends: \"Lovelace, Ada\" <ada@example.org> (the first);\nCc: undisclosed-recipients:;\n"
                          "bcc: root,\n nobody\nSubject: both\n\n")
    got = arrival(running, "both")
    arrival(running, "both", "bob@example.org")
    assert got["Bcc"] is None and got["To"].startswith("friends:")
    running.programs.send(USER, message="To: someone@elsewhere.net\nBcc: bob@example.org\nSubject: line alone\n\n")
    assert arrival(running, "line alone")["Bcc"] is None
    running.programs.send("-t", message=f"To: someone@elsewhere.net\nResent-To: {USER}\nSubject: resent\n\n")
    arrival(running, "resent")
    assert not any(b"Subject: line alone" in text for text in running.mail("bob@example.org"))
    assert not running.lines("accepted", "elsewhere.net")


def test_users_alone_get_the_domain_also_in_the_header(running):
    running.programs.send("-t", "-f", "root", message="From: root (Cron Daemon)\nTo: ada, \"Bob B\" <bob>,\n root@example.org\nReply-To: Ada Lovelace\nSubject: qualified\n\n")
    got = arrival(running, "qualified")
    assert got["From"] == "root@example.org (Cron Daemon)" and got["Return-Path"] == "<root@example.org>"
    assert got["To"] == "ada@example.org, \"Bob B\" <bob@example.org>,\n root@example.org" and got["Reply-To"] == "Ada Lovelace"


def test_what_is_missing_is_added_and_what_is_there_stays(running):
    running.programs.send("-F", "Me \u00c4", "-f", "me@example.org", USER, message="no header at all\nSubject: is text\n")
    running.programs.send("-i", "-f", "me", USER, message="From ada Mon Nov 23 12:05:17 2026\nSubject: full\nDate: Mon, 23 Nov 2026 12:05:17 +0000\nMessage-ID: <x@y>\n"
                          "From: You <you@example.org>\nReturn-Path: <forged@example.org>\nX-Progress: 1\r2\n\n10%\r20%\r\nend")
    full = arrival(running, "full")
    assert full["Message-ID"] == "<x@y>" and full["From"] == "You <you@example.org>" and full.get_all("Return-Path") == ["<me@example.org>"]
    assert full["X-Progress"] == "1 2" and body(full) == "10%\n20%\nend\n"
    for text in running.mail(USER):
        if b"no header at all" in text:
            got = message_from_bytes(text)
            assert got["From"] == "=?utf-8?B?TWUgw4Q=?= <me@example.org>" and got["Subject"] is None and body(got) == "no header at all\nSubject: is text\n"
            return
    raise AssertionError("the message without a header did not come")


def test_large_ones_come_whole(tmp_path, certificates):
    server = make(tmp_path, certificates, limits="limits: {message_size: 2MiB}\n")
    text = "Subject: large {}\n\n" + ("x" * 76 + "\n") * 20000
    try:
        for when in ("live", "later"):
            server.programs.send("-i", USER, message=text.format(when))
            too_large = server.programs.send("-i", USER, message=text.format("more") + text, check=69)
            assert "limits.message_size" in too_large.stderr
            server.stop()
        server.start()
        for when in ("live", "later"):
            assert len(body(arrival(server, f"large {when}"))) == 77 * 20000
    finally:
        server.stop()


def test_more_recipients_than_the_server_takes_at_once(tmp_path, certificates):
    server = make(tmp_path, certificates, limits="limits: {recipients: 100}\n", extra="queue: {hold: true}\n")
    everybody = [f"reader{i}@elsewhere.net" for i in range(250)]

    def all_wait():
        server.wait_log("accepted", "recipients=100", count=2)
        server.wait_log("accepted", "recipients=50")
        assert sum(message["waiting"] for message in json.loads(server.cli("queue", "list", "--json").stdout)) == 250

    try:
        server.programs.send("-i", *everybody, message="Subject: many\n\n")
        all_wait()
        server.cli("queue", "remove", "all")
        server.stop()
        server.programs.send("-i", *everybody, message="Subject: many\n\n")
        assert len(drops(server)) == 3
        server.start()
        all_wait()
    finally:
        server.stop()


# ---- errors ----

@pytest.mark.parametrize("arguments, message, code, words", [
    (["-i", f"{USER}\nBcc: bob@example.org"], "", 64, "line break"),
    (["-i", "-fme\r@example.org", USER], "", 64, "line break"),
    (["-i"], "", 64, "no recipients"),
    (["-Z", USER], "", 64, "-Z"),
    (["-f"], "", 64, "-f requires a value"),
    (["-bd"], "", 64, "mailboat serve"),
    (["-t"], "Subject: x\n\n", 65, "no recipient"),
    (["-t"], "To: a lot of words\n\n", 65, "not a mail address"),
    (["-i", ""], "", 65, "'' was rejected: 501 5.1.3 Bad recipient address syntax"),
    (["-i", "-f", "a b@example.org", USER], "", 65, "not a mail address"),
    (["-i", "not-there"], "Subject: x\n\n", 67, "not-there@example.org"),
], ids=lambda value: None if isinstance(value, str) else str(value)[:30])
def test_errors_say_what_is_wrong_in_one_line(running, arguments, message, code, words):
    done = running.programs.send(*arguments, message=message, check=code)
    assert words in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""


def test_refusals_are_mailed_back_where_asked(running):
    done = running.programs.send("-i", "-oem", "-f", "nobody", "not-there", "bob", message="Subject: half of it\n\n", check=67)
    assert done.stderr == ""
    arrival(running, "half of it", "bob@example.org")
    got = arrival(running, "Your message could not be delivered")
    assert got["Return-Path"] == "<>" and "not-there@example.org" in got.as_string() and "half of it" in got.as_string()
    assert running.programs.send("-i", "-oeq", "not-there", check=67).stderr == ""
    assert running.programs.send("-i", "-oee", "-f", "nobody", "not-there", message="Subject: x\n\n").stderr == ""
    assert "not-there" in running.programs.send("-i", "-oem", "-f", "", "not-there", message="Subject: x\n\n", check=67).stderr


BAD = ["", "a b@example.org", "@example.org", "bob@", "bob@@example.org", "bob@example..org", '"bob@example.org', "bob@-x.example", "b\u00f6b\u0001@example.org"]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_one_bad_recipient_does_not_stop_the_message(server, state):
    """On the command line and in the header: the valid recipients get it, and the invalid ones are reported."""
    if state == "stopped":
        server.stop()
    for number, bad in enumerate(BAD):
        done = server.programs.send("-i", bad, "bob", message=f"Subject: half {number}\n\n", check=65)
        assert done.stderr.count("\n") == 1 and "501 5.1.3 Bad recipient address syntax" in done.stderr, (bad, done.stderr)
    done = server.programs.send("-t", message="To: a lot of words, Bob <bob@example.org>, @@, Ada <ada@example.org>\nSubject: half t\n\n", check=65)
    assert [line.split(" was rejected")[0] for line in done.stderr.splitlines()] == ["mailboat sendmail: a lot of words", "mailboat sendmail: @@"]
    mailed = server.programs.send("-i", "-oem", "-f", "nobody", "bob", "a b@example.org", message="Subject: half mailed\n\n", check=65)
    assert mailed.stderr == "" and server.programs.send("-i", "-oeq", "bob", "@@", message="Subject: half q\n\n", check=65).stderr == ""
    if state == "stopped":
        server.start()
    for number in range(len(BAD)):
        arrival(server, f"half {number}", "bob@example.org")
    for subject in ("half t", "half mailed", "half q"):
        arrival(server, subject, "bob@example.org")
    arrival(server, "half t")
    report = arrival(server, "Your message could not be delivered").as_string()
    assert "<a b@example.org>: could not be delivered" in report and "Subject: half mailed" in report


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_dots_that_the_standard_forbids_are_passed_on(server, state):
    """Some providers assigned such addresses; one in a local domain is an alias or does not exist."""
    server.cli("alias", "add", "a..b@example.org", USER)
    if state == "stopped":
        server.stop()
    server.programs.send("-i", "-f", "shop..1@example.org", "a..b@example.org", '"A..B"@example.org', "ada@example.org.", message="Subject: dots\n\n")
    server.programs.send("-i", "..@example.org", message="Subject: x\n\n", check=67 if state == "running" else 0)
    if state == "stopped":
        server.start()
    assert arrival(server, "dots")["Return-Path"] == "<shop..1@example.org>"


def test_without_server_and_folder_it_is_a_temporary_failure(tmp_path, certificates):
    server = Mailboat(tmp_path / "server", certificates)
    server.write_config()
    programs = Programs(tmp_path / "bin", server)
    done = programs.send("-i", USER, message="Subject: x\n\n", check=75)
    assert f"{server.data}/drop" in done.stderr and done.stderr.count("\n") == 1
    assert "421" in programs.send("-bs", message="QUIT\n", check=75).stdout
    assert "Mail queue is empty" in programs.call("mailq").stdout


# ---- without the server ----

def test_what_was_dropped_leaves_later_and_nobody_reads_it(server):
    server.stop()
    server.programs.send("-i", "-oem", "-f", "nobody", "ada", "not-there", "nobody@example.org", message="Subject: kept\n\nsecret\n")
    folder = server.data / "drop"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o3733
    (name,) = drops(server)
    assert re.fullmatch(r"[0-9a-f]{14}-[0-9a-f]{32}", name)
    facts = (folder / name).stat()
    assert stat.S_IMODE(facts.st_mode) == 0o640 and facts.st_gid == folder.stat().st_gid
    if os.geteuid() == 0:
        assert facts.st_uid == NOBODY != folder.stat().st_uid
        for command in (["ls", str(folder)], ["cat", str(folder / name)], ["rm", "-f", str(folder / name)]):
            other = subprocess.run(["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups", *command], capture_output=True, text=True)
            assert other.returncode != 0 and "secret" not in other.stdout
    server.start()
    arrival(server, "kept")
    report = arrival(server, "Your message could not be delivered")
    assert "not-there@example.org" in report.as_string() and "Subject: kept" in report.as_string()
    server.wait_log("accepted", "protocol=local", "account=" + (f'"uid {NOBODY}"' if os.geteuid() == 0 else ""))


def test_a_server_that_runs_picks_up_at_once(server):
    server.stop()
    server.programs.send("-i", USER, message="Subject: first\n\n")
    (name,) = drops(server)
    kept = (server.data / "drop" / name).read_bytes()
    server.start()
    arrival(server, "first")
    folder = server.data / "drop"
    (folder / ".another").write_bytes(kept.replace(b"first", b"again"))
    os.chmod(folder / ".another", 0o644)
    (folder / ".another").rename(folder / "another")
    arrival(server, "again")
    assert not server.lines("drop_rejected")


@pytest.mark.parametrize("role", ["pickup", "queue", "auth"])
def test_a_crash_loses_nothing_that_was_dropped(server, role):
    """kill -9 in the middle: each message arrives; a duplicate is allowed."""
    total = 120
    server.stop()
    for number in range(total):
        server.programs.send("-i", "ada", "bob", message=f"Subject: number {number} end\n\n" + "x\n" * (40000 if number % 40 == 0 else 10))
    server.start()
    for kill in range(3):
        server.wait_log("accepted", "protocol=local", count=1 + kill * total // 4)
        while not server.processes().get(role):  # restarted after a while
            with server.changed:
                server.changed.wait(0.01)
        for pid in server.processes()[role]:
            os.kill(pid, signal.SIGKILL)
        server.wait_log("process_died", f"role={role}", count=kill + 1)
    for number in range(total):
        arrival(server, f"number {number} end")
    for number in range(total):
        arrival(server, f"number {number} end", "bob@example.org")
    for _ in range(200):
        if not drops(server):
            break
        with server.changed:
            server.changed.wait(0.05)
    assert drops(server) == [] and not server.lines("drop_rejected")
    copies = len([t for t in server.mail(USER) if b"Subject: number" in t])
    assert copies <= total + 40


def dropped(head, content=b"Subject: x\r\n\r\n", size=None):
    return (head.format(size=len(content) if size is None else size)).encode() + content


HEAD = "MAILBOAT-DROP 1\nMAIL FROM:<ada@example.org> SIZE={size}\nRCPT TO:<ada@example.org>\nDATA\n"


def test_bad_files_are_set_aside_once(tmp_path, certificates):
    server = make(tmp_path, certificates, limits="limits: {message_size: 64KiB, recipients: 100}\n")
    folder = server.data / "drop"
    server.stop()
    outside = tmp_path / "outside"
    outside.write_bytes(dropped(HEAD, b"Subject: linked\r\n\r\n"))
    files = {
        "a-garbage": b"\0\1\2 garbage",
        "b-empty": b"",
        "c-cut": dropped(HEAD, size=1000),
        "d-longer": dropped(HEAD, size=3),
        "e-large": dropped(HEAD, b"x" * 65537),
        "f-bare-lf": dropped(HEAD, b"Subject: x\n\n"),
        "g-no-recipient": dropped("MAILBOAT-DROP 1\nMAIL FROM:<ada@example.org> SIZE={size}\nDATA\n"),
        "h-many": dropped(HEAD.replace("DATA", "".join(f"RCPT TO:<ada+{i}@example.org>\n" for i in range(100)) + "DATA")),
        "i-huge": b"x" * (3 * 1024 * 1024),
        "j-forged": dropped(HEAD.replace("<ada@", "<a\rda@")),
    }
    for name, octets in files.items():
        (folder / name).write_bytes(octets)
        os.chmod(folder / name, 0o644)
    (folder / "k-symlink").symlink_to(outside)
    os.link(outside, folder / "l-hard-link")
    os.mkfifo(folder / "m-fifo")
    (folder / "n-folder").mkdir()
    count = len(files) + 4
    if os.geteuid() == 0:
        (folder / "o-unreadable").write_bytes(dropped(HEAD))
        os.chmod(folder / "o-unreadable", 0)
        count += 1
    server.programs.send("-i", USER, message="Subject: good\n\n")
    try:
        server.start()
        arrival(server, "good")
        refused = server.wait_log("drop_rejected", count=count)
        for name in (*files, "k-symlink", "l-hard-link", "m-fifo", "n-folder"):
            (line,) = [line for line in refused if f"original_name={name} " in line]
            assert "reason=" in line and "uid=" in line
        left = drops(server)
        assert len(left) == count and all(name.startswith("bad-") for name in left)
        assert outside.exists() and len(server.mail(USER)) == 1
        server.stop()
        server.start()
        server.programs.send("-i", USER, message="Subject: after\n\n")
        arrival(server, "after")
        assert not server.lines("drop_rejected") and drops(server) == left
    finally:
        server.stop()


def test_unfinished_files_are_left_alone_then_swept(server):
    server.stop()
    folder = server.data / "drop"
    for name, age in ((".young", 0), (".old", 2 * 24 * 3600)):
        (folder / name).write_bytes(b"MAILBOAT")
        os.utime(folder / name, (folder.stat().st_mtime - age,) * 2)
    server.start()
    server.wait_log("drop_stale_removed", "file=.old")
    assert drops(server) == [".young"]


def test_what_the_server_cannot_take_now_is_kept(tmp_path, certificates):
    """The socket exists, but no server replies correctly: the drop directory is used."""
    server = make(tmp_path, certificates)
    try:
        for pid in server.processes()["smtpd"]:
            os.kill(pid, signal.SIGSTOP)
        sending = subprocess.Popen([str(server.programs.sendmail), "-C", str(server.config), "-i", USER], stdin=subprocess.PIPE)
        sending.stdin.write(b"Subject: kept too\n\n")
        sending.stdin.close()
        for pid in server.processes()["smtpd"]:
            os.kill(pid, signal.SIGKILL)
        assert sending.wait(60) == 0
        arrival(server, "kept too")
    finally:
        server.stop()


@is_root
def test_secrets_of_the_configuration_are_not_needed_to_send(running, tmp_path):
    for parent in (tmp_path, tmp_path.parent):
        parent.chmod(0o755)
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    config = tmp_path / "with-secret.conf"
    config.write_text(running.config.read_text() + f"relay: {{via: smarthost, smarthost: {{host: smtp.example.net, user: u, password_file: {secret}}}}}\n")
    for arguments, subject in ((["sendmail", "-C", config, "-i", USER], "with secrets"), (["send", "--config", config, "-t"], "with secrets, by send")):
        done = subprocess.run(["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", str(running.programs.folder / "mailboat"), *map(str, arguments)],
                              input=f"To: {USER}\nSubject: {subject}\n\n", capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        got = arrival(running, subject)
        assert got["Date"] and got["Message-ID"] and "nobody@example.org" in got["From"]


@is_root
def test_it_works_without_a_place_for_temporary_files(running):
    """Everything mounted at /tmp is read-only, for this call only."""
    call = f"mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && ! touch /tmp/writable 2>/dev/null && exec {running.programs.sendmail} -C {running.config} -i {USER}"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", call], input="Subject: no tmp\n\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    arrival(running, "no tmp")


# ---- the other modes ----

def test_smtp_on_standard_input_and_output(running):
    for name, end in (("lf", "\n"), ("crlf", "\r\n")):
        lines = ["EHLO localhost", "MAIL FROM:<me@example.org>", f"RCPT TO:<{USER}>", "DATA", f"Subject: bs {name}", "", "..dot", ".", "QUIT", ""]
        done = running.programs.send("-bs", message=end.join(lines))
        assert done.stdout.startswith("220 ") and done.stdout.splitlines()[-1].startswith("221 ")
        assert body(arrival(running, f"bs {name}")) == ".dot\n"


def test_verify_says_who_is_there(running):
    done = running.programs.send("-bv", "ada", "not-there@example.org", check=67)
    assert done.stdout.splitlines()[0] == "ada@example.org: deliverable" and "not-there@example.org: undeliverable: 550 5.1.1" in done.stdout
    running.programs.send("-bv", "ada")


def test_mailq_lists_as_postfix_does(tmp_path, certificates):
    server = make(tmp_path, certificates, extra="queue: {hold: true}\n")
    try:
        empty = server.programs.call("mailq", user=0)
        assert empty.stdout == "Mail queue is empty\n"
        server.programs.send("-i", "-f", "me", USER, "x@elsewhere.net", message="Subject: one\n\n" + "x" * 900 + "\n")
        server.programs.send("-i", "-f", "", USER, message="Subject: two\n\n" + "x" * 900 + "\n")
        lines = server.programs.call("mailq", user=0).stdout.splitlines()
        assert lines[0] == "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------"
        assert re.fullmatch(r"[0-9a-z]{12}[*! ]\s+\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d  me@example\.org", lines[1]), lines[1]
        assert lines[2].strip() == USER and lines[3].strip() == "x@elsewhere.net" and lines[4] == "" and lines[5].endswith("  MAILER-DAEMON")
        assert lines[1].index("me@") == lines[2].index("ada@") and re.fullmatch(r"-- \d+ Kbytes in 2 Requests\.", lines[-1])
        assert server.programs.send("-bp", user=0).stdout.splitlines() == lines
        if os.geteuid() == 0:
            denied = server.programs.call("mailq", check=77)
            assert "only root" in denied.stderr and denied.stderr.count("\n") == 1
        assert "2 recipients" in server.programs.send("-q", user=0).stdout or "3 recipients" in server.programs.send("-q", user=0).stdout
    finally:
        server.stop()


def test_newaliases_has_nothing_to_do(running):
    for program, arguments in (("newaliases", []), ("sendmail", ["-bi"]), ("sendmail", ["-I"])):
        done = running.programs.call(program, *arguments)
        assert done.stdout == done.stderr == ""


def test_the_subcommand_is_the_same(running):
    done = subprocess.run([str(mailboat_module.PROGRAM), "sendmail", "-C", str(running.config), "-i", USER], input="Subject: subcommand\n\n", text=True, timeout=60)
    assert done.returncode == 0
    arrival(running, "subcommand")
    assert "usage: mailboat sendmail" in running.programs.call("sendmail", "--help", config=False).stdout
    assert os.path.islink(running.programs.sendmail) and not os.stat(running.programs.sendmail).st_mode & (stat.S_ISUID | stat.S_ISGID)


# ---- NUL ----

@pytest.mark.parametrize("running", [True, False])
def test_nul_in_what_a_program_says_is_kept(server, running):
    """The output of cron jobs is mail despite NUL; it is encoded."""
    if not running:
        server.stop()
    server.programs.send("-t", message=NUL_BODY)
    if not running:
        server.start()
    until(lambda: server.mail(USER))
    message = message_from_bytes(server.mail(USER)[0])
    assert message["Content-Transfer-Encoding"] == "quoted-printable" and message.get_payload(decode=True) == b"before\0after\nnext\n"


def test_nul_in_a_header_is_told(server):
    done = server.programs.send("-t", message=NUL_BODY.replace(b"output", b"out\0put"), check=65)
    assert done.stderr == "mailboat sendmail: the message header contains a NUL byte; remove it\n", done.stderr


def test_nul_in_a_file_to_send_is_encoded(server, tmp_path):
    (tmp_path / "text").write_bytes(b"a\0b\n")
    server.cli("send", "--from", USER, "--to", USER, "--subject", "s", str(tmp_path / "text"))
    until(lambda: server.mail(USER))
    assert message_from_bytes(server.mail(USER)[0]).get_payload(decode=True) == b"a\0b\n"
