# SPDX-License-Identifier: Apache-2.0
"""Hourly limits of accounts and local users, and the addresses that a local user may send as: exact with
concurrent sessions, returned when nothing was sent, and the same for dropped files."""
import os
import smtplib
import threading

import pytest

from mailboat import smtp, until
from test_sendmail import NOBODY, dropped, drops, make

USER, PASSWORD = "ada@example.org", "secret-of-ada"
MESSAGE = f"From: {USER}\r\nSubject: x\r\n\r\nhi\r\n"
HOLD = "queue: {hold: true}\n"
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def in_parallel(count, act):
    """Runs all concurrently; returns the results."""
    gate, results = threading.Barrier(count), []

    def one(n):
        gate.wait()
        results.append(act(n))
    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def give(client, recipients=(USER,), text=MESSAGE):
    """Returns the codes of MAIL, DATA and the message's end, up to the first rejection."""
    codes = [client.docmd("MAIL", f"FROM:<{USER}>")[0]]
    for recipient in recipients if codes == [250] else ():
        client.docmd("RCPT", f"TO:<{recipient}>")
    if codes == [250]:
        codes.append(client.docmd("DATA")[0])
    if codes[-1] == 354:
        client.send(text.encode() + b".\r\n")
        codes.append(client.getreply()[0])
    return codes


def test_forty_sessions_at_once_send_no_more_than_one(mailboat):
    server = mailboat(extra="submission: {messages_per_hour: 2}\nprocesses: {smtpd: 2}\n" + HOLD)
    server.add_user(USER, PASSWORD)
    clients = [smtp(server, port, user=USER, password=PASSWORD) for port in (587, 465, 2525, 587) for _ in range(10)]
    codes = in_parallel(40, lambda n: give(clients[n])[-1])
    assert sorted(codes) == [250] * 2 + [450] * 38
    server.wait_log("accepted", count=2)
    server.wait_log("account_rate_limited", f"account={USER}")
    assert len(server.lines("accepted")) == 2 and len(server.lines("account_rate_limited")) == 1


def test_recipients_are_counted_before_the_message_is_taken(mailboat):
    server = mailboat(extra="submission: {recipients_per_hour: 10}\n" + HOLD)
    server.add_user(USER, PASSWORD)
    client = smtp(server, 587, user=USER, password=PASSWORD)
    others = [f"b{n}@elsewhere.invalid" for n in range(300)]
    assert give(client, others) == [250, 550]  # never, in any hour
    assert give(client, others[:6]) == [250, 354, 250]
    assert give(client, others[:5]) == [250, 450]  # not in this hour
    assert give(client, others[:4]) == [250, 354, 250]
    code, text = client.docmd("MAIL", f"FROM:<{USER}>")
    assert code == 450 and text.startswith(b"4.7.1") and b" min" in text
    server.wait_log("accepted", count=2)
    assert len(server.lines("accepted")) == 2


def test_what_was_not_sent_is_given_back(mailboat):
    server = mailboat(extra="submission: {messages_per_hour: 1}\nprocesses: {smtpd: 1}\n" + HOLD)
    server.add_user(USER, PASSWORD)
    client = smtp(server, 587, user=USER, password=PASSWORD)
    assert give(client, text="From: bob@example.net\r\n\r\nforged\r\n") == [250, 354, 550]
    assert give(client, text="a: b\r\n\nbare\r\n")[-1] == 550  # and the session ends

    def begin():
        client = smtp(server, 465, user=USER, password=PASSWORD)
        codes = [client.docmd(*words)[0] for words in (("MAIL", f"FROM:<{USER}>"), ("RCPT", f"TO:<{USER}>"), ("DATA",))]
        return client, codes[0] if codes[0] != 250 else codes[2]
    first, code = begin()
    assert code == 354
    assert begin()[1] == 450  # counted while the message is being sent
    first.close()

    held = []

    def is_held():
        client, code = begin()
        held.append(client)
        return code == 354
    until(is_held)
    os.kill(server.processes()["smtpd"][0], 9)  # with a transaction in progress

    def is_sent():
        try:
            with smtp(server, 587, user=USER, password=PASSWORD) as client:
                return give(client) == [250, 354, 250]
        except (OSError, smtplib.SMTPException):
            return False
    until(is_sent)
    server.wait_log("accepted")
    assert len(server.lines("accepted")) == 1


def test_bdat_is_counted_too(mailboat):
    server = mailboat(extra="submission: {messages_per_hour: 1}\n" + HOLD)
    server.add_user(USER, PASSWORD)
    client = smtp(server, 465, user=USER, password=PASSWORD)
    for wanted in (250, 450):
        assert client.docmd("MAIL", f"FROM:<{USER}>")[0] == wanted
        if wanted == 250:
            client.docmd("RCPT", f"TO:<{USER}>")
            client.send(f"BDAT {len(MESSAGE)} LAST\r\n{MESSAGE}".encode())
            assert client.getreply()[0] == 250


def test_limits_outlive_the_auth_process(mailboat):
    server = mailboat(extra="submission: {messages_per_hour: 1}\n" + HOLD)
    server.add_user(USER, PASSWORD)
    client = smtp(server, 465, user=USER, password=PASSWORD)
    assert give(client)[-1] == 250
    first, = server.processes()["auth"]
    os.kill(first, 9)
    until(lambda: server.processes().get("auth", [first]) != [first])
    assert give(client) == [450]


# ---- local programs ----

LOCAL = "submission: {local: {messages_per_hour: 5, recipients_per_hour: 10}}\n"


@only_root
def test_a_local_user_has_a_limit_and_root_has_none(tmp_path, certificates):
    server = make(tmp_path, certificates, extra=LOCAL + HOLD)
    try:
        done = [server.programs.send("-i", "-f", "site@example.org", USER, message=f"Subject: {n}\n\n", check=None) for n in range(20)]
        assert [one.returncode for one in done] == [0] * 5 + [75] * 15
        assert "local user" in done[-1].stderr and " min" in done[-1].stderr and "submission.local" in done[-1].stderr
        server.wait_log("accepted", f'"uid {NOBODY}"', count=5)
        assert len(server.lines("accepted", f'"uid {NOBODY}"')) == 5 and drops(server) == []
        assert len(server.lines("account_rate_limited", f'"uid {NOBODY}"')) == 1
        for n in range(8):
            server.programs.send("-i", USER, message=f"Subject: root {n}\n\n", user=0)
        assert server.programs.send("-i", USER, message="Subject: another\n\n", user=NOBODY - 1).returncode == 0
    finally:
        server.stop()


@only_root
def test_forty_local_programs_at_once_send_no_more(tmp_path, certificates):
    server = make(tmp_path, certificates, extra=LOCAL + "processes: {smtpd: 2}\n" + HOLD)
    try:
        codes = in_parallel(40, lambda n: server.programs.send("-i", USER, message=f"Subject: {n}\n\n", check=None).returncode)
        assert sorted(codes) == [0] * 5 + [75] * 35
        server.wait_log("accepted", f'"uid {NOBODY}"', count=5)
        assert len(server.lines("accepted", f'"uid {NOBODY}"')) == 5 and drops(server) == []
        many = [f"b{n}@elsewhere.invalid" for n in range(11)]
        assert "send it to fewer" in server.programs.send("-i", *many, message="Subject: x\n\n", user=NOBODY - 1, check=69).stderr
    finally:
        server.stop()


@only_root
def test_what_is_dropped_counts_and_waits(tmp_path, certificates):
    """No message is lost, files of other users overtake, and a restart of the auth process resets no count."""
    server = make(tmp_path, certificates, extra=LOCAL + HOLD)
    try:
        server.stop()
        for n in range(12):
            server.programs.send("-i", USER, message=f"Subject: dropped {n}\n\n")
        server.programs.send("-i", USER, message="Subject: of another\n\n", user=NOBODY - 1)
        server.start()
        server.wait_log("accepted", f'"uid {NOBODY - 1}"')
        server.wait_log("drop_delayed", f"uid={NOBODY}")
        until(lambda: len(drops(server)) == 7)
        assert len(server.lines("accepted", f'"uid {NOBODY}"')) == 5 and len(drops(server)) == 7
        assert server.programs.send("-i", USER, message="Subject: x\n\n", check=75).stderr
        server.programs.send("-i", USER, message="Subject: of another again\n\n", user=NOBODY - 1)
        server.wait_log("accepted", f'"uid {NOBODY - 1}"', count=2)
        assert len(server.lines("drop_delayed")) == 1 and len(drops(server)) == 7
        server.stop()
        server.start()  # a restart of the whole server resets the counters
        server.wait_log("accepted", f'"uid {NOBODY}"', count=5)
    finally:
        server.stop()


@only_root
def test_nobody_poses_as_the_owner_of_an_account(tmp_path, certificates):
    server = make(tmp_path, certificates, extra=HOLD)
    try:
        for sender in (USER, "ADA@Example.org", '"ada"@example.org', "ada+x@example.org", "bob@example.org"):
            done = server.programs.send("-i", "-f", sender, USER, message="Subject: x\n\n", check=69)
            assert "5.7.1" in done.stderr and "submission.local.users" in done.stderr, done.stderr
        for author in (f"Boss <{USER}>", "bob@example.org", f"shop@example.org, {USER}\nSender: shop@example.org", f"shop@example.org\nSender: {USER}"):
            done = server.programs.send("-i", "-f", "shop@example.org", USER, message=f"From: {author}\nSubject: x\n\n", check=69)
            assert "5.7.1" in done.stderr, done.stderr
        # Senders of web sites and cron: addresses without an account, local and remote, aliases, the user's own name, none.
        for sender in ("shop@example.org", "visitor@example.net", "nobody@example.org", "root@example.org", "postmaster@example.org", "<>"):
            server.programs.send("-i", "-f", sender, USER, message="Subject: x\n\n")
        server.programs.send("-i", USER, message="Subject: x\n\n")
        for sender in (USER, "bob@example.org"):
            server.programs.send("-i", "-f", sender, USER, message=f"From: {sender}\nSubject: x\n\n", user=0)
        server.add_user("nobody@example.org", "secret")
        server.programs.send("-i", USER, message="Subject: it has its name\n\n")
        server.programs.send("-i", "-f", "nobody@example.org", USER, message="Subject: x\n\n", user=NOBODY - 1, check=69)
    finally:
        server.stop()


@only_root
def test_the_configuration_says_who_sends_as_whom(tmp_path, certificates):
    users = f'[{{user: nobody, senders: [{USER}, "*@shop.example"], messages_per_hour: 0}}, {{user: {NOBODY - 1}, senders: ["*"]}}, {{user: no-such-user}}]'
    server = make(tmp_path, certificates, extra=f"submission: {{local: {{messages_per_hour: 3, users: {users}}}}}\n" + HOLD)
    try:
        assert server.wait_log("local_user_unknown", "user=no-such-user")
        for sender in (USER, "ada+x@example.org", "a@shop.example", "b@SHOP.example", "nobody@example.org"):
            server.programs.send("-i", "-f", sender, USER, message="Subject: x\n\n")
        for sender in ("bob@example.org", "visitor@example.net", "a@b.shop.example"):
            server.programs.send("-i", "-f", sender, USER, message="Subject: x\n\n", check=69)
        server.programs.send("-i", "-f", "bob@example.org", USER, message="Subject: x\n\n", user=NOBODY - 1)
        server.programs.send("-i", "-f", USER, USER, message="Subject: x\n\n", user=NOBODY - 2, check=69)
        server.stop()
        server.extra = "submission: {local: {protect_accounts: false, messages_per_hour: 0, recipients_per_hour: 0}}\n" + HOLD
        server.start()
        for n in range(8):
            server.programs.send("-i", "-f", "bob@example.org", USER, message="Subject: x\n\n")
    finally:
        server.stop()


@only_root
@pytest.mark.parametrize("state", ["running", "stopped"])
def test_cron_of_debian_writes_as_root_for_every_user(tmp_path, certificates, state):
    """cron runs sendmail as the job's user: also if root has an account, and if that user has its own senders."""
    server = make(tmp_path, certificates, extra=f"submission: {{local: {{users: [{{user: {NOBODY}, senders: [shop@example.org]}}]}}}}\n" + HOLD)
    try:
        server.cli("alias", "remove", "root@example.org", USER)
        server.add_user("root@example.org", "secret-of-root")
        if state == "stopped":
            server.stop()
        for uid in (NOBODY, NOBODY - 1, 0):
            server.programs.send("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root", user=uid,
                                 message="From: root (Cron Daemon)\nTo: root\nSubject: Cron <x@host> true\n\nout\n")
        if state == "stopped":
            server.start()
        server.wait_log("accepted", "to=root@example.org", count=3)
        assert not server.lines("reply_rejected", "5.7.1") and not server.lines("drop_rejected")
        for sender in ("ada+root@example.org", "visitor@example.net") if state == "running" else ():
            done = server.programs.send("-i", "-f", sender, USER, message="Subject: x\n\n", check=69)
            assert "add it to senders in submission.local.users" in done.stderr, done.stderr
    finally:
        server.stop()


@only_root
def test_the_drop_folder_is_no_way_around(tmp_path, certificates):
    server = make(tmp_path, certificates, extra=HOLD)
    folder = server.data / "drop"
    head = "MAILBOAT-DROP 1\nMAIL FROM:<{sender}> SIZE={{size}}\nRCPT TO:<ada@example.org>\nDATA\n"
    forged = {
        "envelope": dropped(head.format(sender="ada@example.org")),
        "from": dropped(head.format(sender="shop@example.org"), f"From: {USER}\r\n\r\n".encode()),
        "sender": dropped(head.format(sender="shop@example.org"), f"From: shop@example.org\r\nSender: {USER}\r\n\r\n".encode()),
        "no-body": dropped(head.format(sender="shop@example.org"), f"From: {USER}\r\n".encode()),
        "twice": dropped(head.format(sender="shop@example.org"), f"From: shop@example.org\r\nFrom: {USER}\r\n\r\n".encode()),
        "broken": dropped(head.format(sender="shop@example.org"), f"From : {USER}\r\n\r\n".encode()),
        "late": dropped(head.format(sender="shop@example.org"), b"X: " + b"y" * 70000 + f"\r\nFrom: {USER}\r\n\r\n".encode()),
    }
    fine = dropped(head.format(sender="shop@example.org"), b"From: shop@example.org\r\nSubject: fine\r\n\r\n")
    try:
        for name, octets in (*forged.items(), ("fine", fine)):
            path = folder / f".{name}"
            path.write_bytes(octets)
            os.chown(path, NOBODY, folder.stat().st_gid)
            os.chmod(path, 0o640)
            path.rename(folder / name)
        refused = server.wait_log("drop_rejected", count=len(forged))
        for name in forged:
            (line,) = [line for line in refused if f"original_name={name} " in line]
            assert f"uid={NOBODY}" in line, line
        server.wait_log("accepted", "from=shop@example.org")
        assert len(server.lines("accepted")) == 1
    finally:
        server.stop()
