# SPDX-License-Identifier: Apache-2.0
"""Aliases of any size and depth: every member gets the message once, or a report is sent."""
import json
import os
import signal
import sqlite3
import time

import pytest

from mailboat import PATIENCE, memory_kib, run, smtp, until
from plain_peer import away_to
from test_reports import Report

ADA, PASSWORD = "ada@example.org", "secret-of-ada"
LIST = "all@example.org"
LETTER = f"From: {ADA}\r\nSubject: the letter\r\n\r\nits text\r\n"


@pytest.fixture
def server(mailboat, peer):
    it = mailboat(relay=away_to(peer.port), extra="queue: {retry: {first: 1s, max: 1s}}\n")
    it.add_user(ADA, PASSWORD)
    return it


def add_users(server, addresses):
    """Adds users like `user add`, without a slow hash for each."""
    with sqlite3.connect(server.data / "accounts" / "accounts.db") as db:
        db.executemany("INSERT INTO user (address, password, created) VALUES (?, '*', 0)", [(a,) for a in addresses])
    db.close()
    announce_change(server)


def put_alias(server, address, *targets):
    """Stores an alias that `alias add` rejects and an earlier version accepted."""
    with sqlite3.connect(server.data / "accounts" / "accounts.db") as db:
        db.executemany("INSERT INTO alias (address, target) VALUES (?, ?)", [(address, t) for t in targets])
    db.close()
    announce_change(server)


def announce_change(server):
    """Makes a change through auth, so that a change made without auth is noticed."""
    server.cli("domain", "add", "elsewhere.example")
    server.cli("domain", "remove", "elsewhere.example")


def fill(server, address, targets):
    return server.cli("alias", "add", address, "--from", "-", text_input="\n".join(targets) + "\n")


def send(server, recipients, port=25, sender="bob@far.example", text=LETTER, rcpt=(), mail=()):
    """Returns the replies to each RCPT, and to the content."""
    user = {"user": ADA, "password": PASSWORD} if port != 25 else {"starttls": False}
    with smtp(server, port, **user) as client:
        client.ehlo()
        assert client.mail(ADA if port != 25 else sender, list(mail))[0] == 250
        said = [client.rcpt(recipient, list(rcpt)) for recipient in recipients]
        return [code for code, _ in said], client.data(text)[0] if any(code == 250 for code, _ in said) else None


def is_done(server):
    return server.queue_count() == 0


def reports(server):
    return [Report(m) for m in server.mail(ADA) if b"multipart/report" in m]


@pytest.mark.parametrize("count", [99, 100, 101, 500, 501, 1000, 1001])
def test_every_member_gets_it_once(server, peer, count):
    here = [f"m{i}@example.org" for i in range(0, count, 7)]
    away = [f"m{i}@there.net" for i in range(count) if i % 7]
    add_users(server, here)
    assert f"added {count} targets" in fill(server, LIST, here + away).stdout
    assert send(server, [LIST]) == ([250], 250)
    until(lambda: len(peer.got) >= len(away) and is_done(server), 4 * PATIENCE)
    assert sorted(peer.got) == sorted(away)
    assert [len(server.mail(a)) for a in here] == [1] * len(here)
    assert is_done(server) and not server.lines("member_missing")


@pytest.mark.parametrize("port", [25, 587])
def test_thirty_thousand_members(server, peer, port):
    members = [f"member-number-{i:05}@d{i % 300}.there.net" for i in range(30000)]
    began = time.monotonic()
    fill(server, LIST, members)
    assert time.monotonic() - began < PATIENCE
    assert len(json.loads(server.cli("alias", "list", "--json").stdout)) == 30000
    queue, = server.processes()["queue"]
    before = memory_kib(queue)
    assert send(server, [LIST], port=port) == ([250], 250)
    until(lambda: len(peer.got) >= 30000, 4 * PATIENCE)
    until(lambda: is_done(server))
    assert len(peer.got) == 30000 and set(peer.got) == set(members)
    assert memory_kib(queue) - before < 64 * 1024 and is_done(server)


def test_the_same_person_by_many_ways_gets_one_copy(server, peer):
    """A diamond, a list in a list, a tag, and the person's own address beside them."""
    add_users(server, [f"m{i}@example.org" for i in range(300)])
    halves = [[f"m{i}@example.org" for i in range(0, 200)], [f"m{i}@example.org" for i in range(100, 300)]]
    fill(server, "left@example.org", halves[0] + ["bob@there.net", "ada+left@example.org"])
    fill(server, "right@example.org", halves[1] + ["bob@there.net", ADA])
    server.cli("alias", "add", LIST, "left@example.org", "right@example.org", "left+tag@example.org")
    assert send(server, ["m150@example.org", LIST, ADA, "right@example.org"]) == ([250] * 4, 250)
    until(lambda: is_done(server) and peer.got)
    assert [len(server.mail(f"m{i}@example.org")) for i in range(300)] == [1] * 300
    assert peer.got == ["bob@there.net"] and len(server.mail(ADA)) == 1


@pytest.mark.parametrize("depth", [10, 11, 50, 300])
def test_aliases_of_aliases_have_no_low_ceiling(server, peer, depth):
    server.cli("alias", "add", "a0@example.org", ADA, "bob@there.net")
    put_alias(server, f"a{depth}@example.org", f"a{depth - 1}@example.org", "top@there.net")
    for i in range(1, depth):
        put_alias(server, f"a{i}@example.org", f"a{i - 1}@example.org")
    assert send(server, [f"a{depth}@example.org"]) == ([250], 250)
    until(lambda: len(peer.got) == 2 and server.mail(ADA))
    assert sorted(peer.got) == ["bob@there.net", "top@there.net"] and len(server.mail(ADA)) == 1
    until(lambda: is_done(server))
    assert is_done(server)


def test_forwardings_of_forwardings_have_no_low_ceiling(server, peer):
    users = [f"u{i}@example.org" for i in range(40)]
    add_users(server, users)
    for user, target in zip(users, users[1:] + ["end@there.net"]):
        server.cli("user", "forward", user, target)
    assert send(server, [users[0]]) == ([250], 250)
    until(lambda: peer.got and is_done(server))
    assert peer.got == ["end@there.net"] and [len(server.mail(u)) for u in users] == [1] * 40


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_circle_of_earlier_times_is_refused_or_told_of(server, size):
    names = [f"c{i}@example.org" for i in range(size)]
    for name, target in zip(names, names[1:] + names[:1]):
        put_alias(server, name, target)
    assert send(server, [names[0]]) == ([550], None)
    if size > 1:  # with a user in it, the loop reaches that user
        put_alias(server, names[1], ADA)
        assert send(server, names) == ([250] * size, 250)
        until(lambda: server.mail(ADA) and is_done(server))
        assert len(server.mail(ADA)) == 1


@pytest.mark.parametrize("members", [2, 600])
def test_a_member_that_is_not_there_is_told_of(server, peer, members):
    add_users(server, [f"m{i}@example.org" for i in range(members)])
    fill(server, LIST, [f"m{i}@example.org" for i in range(members)])
    put_alias(server, LIST, "gone@example.org")
    assert send(server, [LIST], port=587) == ([250], 250)
    server.wait_log("member_missing", f"alias={LIST}", "to=gone@example.org")
    until(lambda: reports(server) and is_done(server), 4 * PATIENCE)
    report, = reports(server)
    assert report.fates() == {LIST: ("failed", "5.1.1")} and "gone@" not in report.whole.as_string()
    assert [len(server.mail(f"m{i}@example.org")) for i in range(members)] == [1] * members
    assert send(server, [LIST], sender="") == ([250], 250)  # no sender to report to: log only
    server.wait_log("member_missing", f"alias={LIST}", "to=gone@example.org", count=2)


def test_an_alias_without_anybody_is_refused(server):
    put_alias(server, LIST, *[f"gone{i}@example.org" for i in range(200)])
    assert send(server, [LIST]) == ([550], None)


def hold(server, on):
    server.extra = f"queue: {{hold: {'true' if on else 'false'}, retry: {{first: 1s, max: 1s}}}}\n"
    server.write_config()
    mark = len(server.log)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded", since=mark)


def test_what_changes_between_acceptance_and_expansion(server, peer):
    """Each page reflects the alias at that time; an address that no longer exists is reported."""
    hold(server, True)
    fill(server, LIST, [f"m{i}@there.net" for i in range(150)])
    fill(server, "gone@example.org", [f"g{i}@there.net" for i in range(150)])
    fill(server, "user@example.org", [f"u{i}@there.net" for i in range(150)])
    assert send(server, [LIST, "gone@example.org", "user@example.org"], port=587) == ([250] * 3, 250)
    server.cli("alias", "remove", LIST, "m3@there.net")
    server.cli("alias", "add", LIST, "new@there.net")
    for name in ("gone@example.org", "user@example.org"):
        server.cli("alias", "remove", name)
    add_users(server, ["user@example.org"])
    hold(server, False)
    until(lambda: len(peer.got) == 150 and reports(server) and is_done(server))
    assert sorted(peer.got) == sorted([f"m{i}@there.net" for i in range(150) if i != 3] + ["new@there.net"])
    assert len(server.mail("user@example.org")) == 1
    report, = reports(server)
    assert report.fates() == {"gone@example.org": ("failed", "5.1.1")}


def test_a_queue_that_is_killed_in_the_middle_loses_and_repeats_nobody(server):
    """Delivery is to mailboxes, which store the same message once however often it is delivered."""
    members = [f"m{i:04}@example.org" for i in range(2500)]
    add_users(server, members)
    fill(server, LIST, members)
    assert send(server, [LIST]) == ([250], 250)
    for pages in (1, 2, 3):
        until(lambda: len(server.lines("expanded")) >= pages)
        for pid in server.processes().get("queue", []):
            os.kill(pid, signal.SIGKILL)
        until(lambda: server.processes().get("queue"))
    # Each check lists the whole queue while it is busy; 2,500 new mailboxes are 2,500 waits for the disk.
    until(lambda: is_done(server), 8 * PATIENCE, pause=0.5)
    assert is_done(server)
    assert {len(server.mail(m)) for m in members} == {1}
    # No page was stored twice; a process killed right after a commit cannot log it.
    assert sum(int(line.split("members=")[1].split()[0]) for line in server.lines("expanded")) <= 2500


def test_auth_that_is_killed_meanwhile(server, peer):
    members = [f"m{i:04}@there.net" for i in range(3000)]
    fill(server, LIST, members)
    assert send(server, [LIST]) == ([250], 250)
    until(lambda: server.lines("expanded"))
    for pid in server.processes().get("auth", []):
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(peer.got) >= 3000, 2 * PATIENCE)
    assert sorted(peer.got) == members


def test_success_is_told_of_once_and_the_members_stay_hidden(server, peer):
    fill(server, LIST, [f"m{i}@there.net" for i in range(150)])
    assert send(server, [LIST], port=587, rcpt=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;all@example.org"]) == ([250], 250)
    until(lambda: len(peer.got) == 150 and reports(server) and is_done(server))
    report, = reports(server)
    assert report.fates() == {LIST: ("expanded", "2.0.0")} and "@there.net" not in report.whole.as_string()
    assert report.recipients[0]["Original-Recipient"] == "rfc822; all@example.org"


def test_a_large_list_behind_a_catch_all_a_forwarding_and_sendmail(server, peer):
    members = [f"m{i}@there.net" for i in range(150)]
    fill(server, LIST, members)
    add_users(server, ["eve@example.org"])
    server.cli("user", "forward", "eve@example.org", LIST)
    server.cli("alias", "add", "@example.org", LIST)
    for times, recipient in enumerate(["nobody@example.org", "eve@example.org", "eve+tag@example.org"], 1):
        assert send(server, [recipient]) == ([250], 250)
        until(lambda: len(peer.got) >= 150 * times and is_done(server))
    run("sendmail", "-C", server.config, LIST, text_input="Subject: by sendmail\n\nhi\n")
    until(lambda: len(peer.got) >= 600 and is_done(server))
    assert sorted(peer.got) == sorted(4 * members) and len(server.mail("eve@example.org")) == 2


def test_a_report_to_a_list_reaches_it(server, peer):
    """The sender's address is an alias with very many members."""
    peer.says = {"nobody@there.net": "550 5.1.1 no"}
    fill(server, LIST, [ADA] + [f"m{i}@there.net" for i in range(150)])
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(LIST, ["nobody@there.net"], LETTER.replace(ADA, LIST))
    until(lambda: len(peer.got) >= 150 and reports(server))
    assert len(peer.got) == 150 and len(reports(server)) == 1


def test_every_member_may_send_as_the_alias(server):
    """Also a member after a hundred others, and a member of a nested alias."""
    fill(server, "inner@example.org", [f"a{i}@there.net" for i in range(150)] + [ADA])
    server.cli("alias", "add", LIST, "inner@example.org", "z@there.net")
    for sender in ("inner@example.org", LIST):
        with smtp(server, 587, user=ADA, password=PASSWORD) as client:
            assert client.mail(sender)[0] == 250
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        assert client.mail("z@example.org")[0] == 550


# ---- alias add ----

def refused(server, *arguments, code, says, text_input=None):
    done = server.cli("alias", "add", *arguments, check=False, text_input=text_input)
    assert done.returncode == code and says in done.stderr and done.stderr.count("\n") == 1, done
    assert json.loads(server.cli("alias", "list", "--json").stdout or "[]") == []


def test_what_leads_nowhere_is_refused_and_nothing_is_changed(server):
    refused(server, LIST, ADA, "nobody@example.org", code=67, says="mailboat user add nobody@example.org")
    refused(server, LIST, LIST, code=65, says="lead to itself")
    refused(server, ADA, ADA, code=65, says="only to itself")
    refused(server, LIST, "not an address", code=65, says="the form is ada@example.org")
    refused(server, "x@foreign.example", ADA, code=65, says="mailboat domain add foreign.example")
    refused(server, "@example.org", "nobody@example.org", code=65, says="circle")
    refused(server, LIST, "--from", "-", code=65, says="line 3: 'what'", text_input=f"# people\n{ADA}\nwhat\n")
    refused(server, LIST, "--from", "-", code=65, says="has no addresses", text_input="\n")
    refused(server, LIST, "--from", "/nowhere/at-all", code=66, says="/nowhere/at-all")
    refused(server, LIST, "all+tag@example.org", code=65, says="circle")


def test_circles_are_refused(server):
    server.cli("alias", "add", "b@example.org", ADA)
    server.cli("alias", "add", "a@example.org", "b@example.org")
    for arguments in (["b@example.org", "a@example.org"], ["b@example.org", "bob@there.net", "a+tag@example.org"]):
        done = server.cli("alias", "add", *arguments, check=False)
        assert done.returncode == 65 and "leads back to b@example.org" in done.stderr
    server.cli("alias", "add", "@example.org", "a@example.org")
    done = server.cli("alias", "add", "b@example.org", "caught@example.org", check=False)
    assert done.returncode == 65 and "leads back to b@example.org" in done.stderr
    assert len(json.loads(server.cli("alias", "list", "--json").stdout)) == 3


def test_an_own_mailbox_and_others(server, peer):
    """In an alias, its own address means the mailbox."""
    assert "added 2 targets" in server.cli("alias", "add", ADA, ADA, "bob@there.net").stdout
    assert "added 1 target; 1 existed already" in server.cli("alias", "add", ADA, "bob@there.net", "eve@there.net").stdout
    assert send(server, [ADA]) == ([250], 250)
    until(lambda: len(peer.got) == 2 and server.mail(ADA))
    assert sorted(peer.got) == ["bob@there.net", "eve@there.net"] and len(server.mail(ADA)) == 1


def test_what_is_dropped_while_no_server_runs(server, peer):
    """Through the drop directory, whose reader queries auth like the other processes."""
    members = [f"m{i}@there.net" for i in range(150)]
    fill(server, LIST, members)
    put_alias(server, "few@example.org", ADA, "gone@example.org")
    server.stop()
    run("sendmail", "-C", server.config, "-f", ADA, LIST, "few@example.org", "m3@there.net", text_input="Subject: dropped\n\nhi\n")
    server.start()
    until(lambda: len(peer.got) >= 150 and len(server.mail(ADA)) >= 2 and is_done(server))
    assert sorted(peer.got) == sorted(members) and len(server.mail(ADA)) == 2  # the message, and the report about gone@
    assert reports(server)[0].fates() == {"few@example.org": ("failed", "5.1.1")}
