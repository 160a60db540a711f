# SPDX-License-Identifier: Apache-2.0
"""The queue commands: which mail waits and why, actions on some of it, and the history of one message; the
test sets the replies of the peer."""
import json
import os
import pty
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from mailboat import PATIENCE, PROGRAM, free_port, smtp, until
from plain_peer import Peer, away_to

ADA, EVE, PASSWORD = "ada@example.org", "eve@example.org", "secret-of-both"
HELD = "queue: {hold: true}\n"


@pytest.fixture
def peer(certificates):
    it = Peer(certificates)
    yield it
    it.close()


def people(server):
    for address in (ADA, EVE):
        server.add_user(address, PASSWORD)
    return server


def send(server, sender, *to):
    with smtp(server, 587, user=sender, password=PASSWORD) as client:
        client.sendmail(sender, list(to), f"From: {sender}\r\nSubject: hello\r\n\r\nhi\r\n")


def ask(server, *arguments, **options):
    return json.loads(server.cli(*arguments, "--json", **options).stdout)


def listed(server, *filters):
    return [(m["sender"], m["first_recipient"]) for m in ask(server, "queue", "list", *filters)]


def ids(server, *filters):
    return [m["id"] for m in ask(server, "queue", "list", *filters)]


@pytest.fixture
def three_waiting(mailboat):
    """Three waiting messages: ada to bob and carl, ada to carl, eve to bob; without attempts."""
    server = people(mailboat(extra=HELD))
    send(server, ADA, "bob@there.net", "carl@far.org")
    send(server, ADA, "carl@far.org")
    send(server, EVE, "bob@there.net")
    return server


# ---- filters ----

def test_filters_choose_what_is_listed(three_waiting):
    server = three_waiting
    both, second, third = (ADA, "bob@there.net"), (ADA, "carl@far.org"), (EVE, "bob@there.net")
    for filters, wanted in [
            ([], [both, second, third]), (["--all"], [both, second, third]),
            (["--sender", ADA], [both, second]), (["--sender", "@Example.org"], [both, second, third]), (["--sender", "<>"], []),
            (["--recipient", "carl@FAR.org"], [both, second]), (["--domain", "there.net"], [both, third]),
            (["--domain", "there.net", "--sender", EVE], [third]), (["--older", "1h"], []), (["--younger", "1h"], [both, second, third]),
            (["--reason", "refused"], [])]:
        assert listed(server, *filters) == wanted, filters
    assert "No matching messages." in server.cli("queue", "list", "--older", "1h").stdout


def test_a_word_without_a_target_is_refused(three_waiting):
    server = three_waiting
    for verb in ("retry", "hold", "release", "remove"):
        for arguments in ([], ["--older", "soon"], ["nonsense"], ["--domain", ""], [ids(server)[0], "--all"]):
            done = server.cli("queue", verb, *arguments, check=False)
            assert done.returncode == 64 and done.stdout == "" and done.stderr.count("\n") == 1, (verb, arguments, done)
    for arguments in (["show"], ["show", "1", "2"], ["list", "x"], ["watch", "--all"], ["stats", "--sender", ADA], ["hold", "--all", "--postfix-json"]):
        assert server.cli("queue", *arguments, check=False).returncode == 64, arguments
    assert len(ids(server)) == 3


@pytest.mark.parametrize("served", [True, False])
def test_a_word_counts_for_the_recipients_that_were_meant(three_waiting, served):
    server = three_waiting
    if not served:
        server.stop()
    both, second, third = ids(server)
    assert ask(server, "queue", "hold", "--domain", "far.org") == {"recipients": 2}
    assert ask(server, "queue", "hold", "--domain", "far.org") == {"recipients": 0}  # they are held already
    assert [m["state"] for m in ask(server, "queue", "list")] == ["ready", "held", "ready"]
    assert [(r["address"], r["held"]) for r in ask(server, "queue", "show", both)["recipients"]] == [("bob@there.net", False), ("carl@far.org", True)]
    assert "(held)" in server.cli("queue", "list", "--sender", ADA).stdout
    refused = server.cli("queue", "retry", second, check=False)
    assert refused.returncode == 65 and "release" in refused.stderr
    assert ask(server, "queue", "release", second, both) == {"recipients": 2}
    assert ask(server, "queue", "remove", "--recipient", "bob@there.net", "--sender", ADA) == {"recipients": 1}
    assert listed(server) == [(ADA, "carl@far.org"), (ADA, "carl@far.org"), (EVE, "bob@there.net")]
    missing = server.cli("queue", "remove", both, "0q3k9d2m8w00", third, check=False)
    assert missing.returncode == 69 and missing.stdout == "removed: 2 recipients\n" and "0q3k9d2m8w00" in missing.stderr
    assert ids(server) == [second]
    assert ask(server, "queue", "remove", "--all") == {"recipients": 1}
    assert ids(server) == []


def test_filters_work_over_many_pages(mailboat):
    """More recipients than fit into one request, in one message and in several."""
    server = people(mailboat(extra=HELD))
    many = [f"r{i}@there.net" for i in range(700)]
    for part in (many, many):
        send(server, ADA, *part)
    for _ in range(2):
        send(server, EVE, *[f"s{i}@far.org" for i in range(10)])
    assert ask(server, "queue", "hold", "--domain", "there.net") == {"recipients": 1400}
    stats = ask(server, "queue", "stats")
    assert (stats["messages"], stats["recipients"], stats["held"], stats["ready"]) == (4, 1420, 1400, 20)
    assert {d["destination"]: d["recipients"] for d in stats["destinations"]} == {"there.net": 1400, "far.org": 20}
    assert ask(server, "queue", "remove", "--recipient", "r699@there.net") == {"recipients": 2}
    assert ask(server, "queue", "remove", "--domain", "there.net") == {"recipients": 1398}
    assert len(ids(server)) == 2


# ---- holding ----

def test_what_is_held_waits_over_a_restart_until_it_is_released(mailboat, peer):
    peer.says = "451 4.7.1 Greylisted for 300 seconds"
    peer.tls = None
    server = people(mailboat(relay=away_to(peer.port)))
    send(server, ADA, "bob@there.net")
    send(server, EVE, "carl@there.net")
    server.wait_log("deferred", count=2)
    held = ids(server, "--sender", ADA)[0]
    server.cli("queue", "hold", held)
    server.wait_log("held", f"id={held}")
    server.stop()
    server.start()
    peer.says = "250 ok"
    server.cli("queue", "retry", "--all")
    server.wait_log("delivered", "to=carl@there.net")
    assert peer.got == ["carl@there.net"] and ids(server) == [held]
    assert "(held)" in server.cli("queue", "list").stdout
    server.cli("queue", "release", held)
    server.wait_log("delivered", "to=bob@there.net", f"id={held}")
    assert peer.got == ["carl@there.net", "bob@there.net"] and ids(server) == []


def test_retry_by_reason_tries_those_alone(mailboat, peer):
    peer.tls = None
    peer.says = {"bob@there.net": "452 4.2.2 mailbox full", "carl@there.net": "451 4.7.1 greylisted"}
    server = people(mailboat(relay=away_to(peer.port)))
    send(server, ADA, "bob@there.net", "carl@there.net")
    server.wait_log("deferred", count=2)
    peer.says = "250 ok"
    until(lambda: ask(server, "queue", "list", "--reason", "GREYlist"))
    assert ask(server, "queue", "retry", "--reason", "GREYlist") == {"recipients": 1}
    server.wait_log("delivered", "to=carl@there.net")
    assert peer.got == ["carl@there.net"]
    assert [r["address"] for r in ask(server, "queue", "show", ids(server)[0])["recipients"]] == ["bob@there.net"]


# ---- explain ----

def test_explain_tells_the_whole_story(mailboat, peer, certificates):
    server = people(mailboat(relay=away_to(peer.port, certificates)))
    peer.says = "451 4.7.1 first try"
    send(server, ADA, "bob@there.net")
    server.wait_log("deferred")
    queue_id = ids(server)[0]
    peer.says = "452 4.2.2 second try"
    server.cli("queue", "retry", queue_id)
    server.wait_log("deferred", "attempt=2")
    story = server.cli("explain", queue_id).stdout
    for part in (queue_id, f"from <{ADA}>", f"on port {server.ports[587]} from 127.0.0.1", "by ESMTPSA with TLSv1.3", f"authenticated as {ADA}", "to <bob@there.net>",
                 "attempt 1: localhost[127.0.0.1]", "replied 451 4.7.1 first try (TLSv1.3", "attempt 2: ", "replied 452 4.2.2 second try",
                 "attempt 3; after each failure the wait grows, from 5m to 4h", "means: The mailbox is full. (mailbox_full, about the recipient)", "hint: Remove the address"):
        assert part in story, (part, story)
    assert server.wait_log("deferred", "attempt=2", "class=mailbox_full about=recipient")
    assert "The mailbox is full. (mailbox_full, about the recipient)" in server.cli("queue", "show", queue_id).stdout
    assert ask(server, "queue", "show", queue_id)["recipients"][0]["meaning"]["class"] == "mailbox_full"
    told = ask(server, "explain", queue_id)
    recipient = told["recipients"][0]
    assert [(a["attempt"], a["code"], a["reply"]) for a in recipient["history"]] == [(1, 451, "first try"), (2, 452, "second try")]
    assert all(a["tls"].startswith("TLSv1.3") and str(peer.port) in a["peer"] for a in recipient["history"])
    assert (recipient["meaning"]["class"], recipient["meaning"]["about"], recipient["meaning"]["retry"]) == ("mailbox_full", "recipient", "slowly")
    assert recipient["state"] == "retry" and recipient["next_ms"] > time.time() * 1000 and told["origin"]["account"] == ADA
    server.cli("queue", "hold", queue_id)
    assert ask(server, "explain", queue_id)["recipients"][0]["state"] == "held"
    server.cli("queue", "release", queue_id)
    server.wait_log("deferred", "attempt=3")
    server.stop()
    assert ask(server, "explain", queue_id)["recipients"][0]["state"] == "no_server"
    assert "the server is not running" in server.cli("explain", queue_id).stdout


def test_explain_knows_a_destination_where_nobody_answers(mailboat):
    server = people(mailboat(relay=away_to(free_port())))
    for _ in range(8):
        send(server, ADA, "bob@there.net")
    server.wait_log("destination_backoff")
    states = {}
    for queue_id in ids(server):
        recipient = ask(server, "explain", queue_id)["recipients"][0]
        states.setdefault(recipient["state"], recipient)
    assert "destination_backoff" in states and "connections to the smarthost failed in a row" in states["destination_backoff"]["why"]
    assert states["destination_backoff"]["next_ms"] > time.time() * 1000
    stats = ask(server, "queue", "stats")
    assert stats["waiting"] == 8 and stats["ready"] == 0
    assert "refused" in stats["reasons"][0]["reason"].lower()


def test_what_is_gone_is_to_be_found_in_the_log(mailboat):
    server = people(mailboat())
    send(server, ADA, EVE)
    line = server.wait_log("delivered", f"to={EVE}")[0]
    queue_id = line.split("id=")[1].split()[0]
    until(lambda: server.cli("explain", queue_id, check=False).returncode == 69)
    done = server.cli("explain", queue_id, check=False)
    assert done.returncode == 69 and done.stderr.count("\n") == 1 and f"grep id={queue_id}" in done.stderr and "--since '20" in done.stderr
    for arguments, code in (["0q3k9d2m8w00"], 69), (["nonsense"], 64), ([], 64), (["0q3k9d2m8w00", "0q3k9d2m8w00"], 64):
        assert server.cli("explain", *arguments, check=False).returncode == code


# ---- deliveries in progress ----

def test_what_is_under_way_is_seen(mailboat, peer):
    peer.tls, peer.stop_at_data = None, True
    server = people(mailboat(relay=away_to(peer.port)))
    send(server, ADA, "bob@there.net", "carl@there.net")
    assert peer.silent.wait(PATIENCE)
    message, = ask(server, "queue", "list")
    assert message["state"] == "in_progress" and "(in progress)" in server.cli("queue", "list").stdout
    assert ask(server, "queue", "stats")["in_flight"] == 2
    assert ask(server, "explain", message["id"])["recipients"][1]["state"] == "in_progress"
    postfix, = postfix_list(server)
    assert postfix["queue_name"] == "active"
    watch = start_watch(server, "--json")
    first = json.loads(watch.stdout.readline())
    assert first["deliveries"] == 1 and first["destinations"][0]["deliveries"] == 1
    peer.go_on.set()
    server.wait_log("delivered", count=2)
    for line in watch.stdout:
        now = json.loads(line)
        if now["deliveries"] == 0:
            break
    assert now["since_start"]["delivered"] == 2 and now["since_start"]["accepted"] == 1
    assert interrupt(watch) == 130


# ---- Postfix's output ----

def postfix_list(server, *filters):
    return [json.loads(line) for line in server.cli("queue", "list", "--postfix-json", *filters).stdout.splitlines()]


def test_the_list_as_postqueue_prints_it(mailboat, peer):
    peer.tls, peer.says = None, {"bob@there.net": '451 4.7.1 say "please"', "carl@there.net": "250 ok"}
    server = people(mailboat(relay=away_to(peer.port)))
    begin = int(time.time())
    send(server, ADA, "bob@there.net", "carl@there.net", "bob@there.net")
    server.wait_log("deferred")
    server.wait_log("delivered", "to=carl@there.net")
    message, = postfix_list(server)
    assert list(message) == ["queue_name", "queue_id", "arrival_time", "message_size", "forced_expire", "sender", "recipients"]
    assert message["queue_name"] == "deferred" and message["queue_id"] == ids(server)[0] and message["sender"] == ADA
    assert begin <= message["arrival_time"] <= time.time() and message["message_size"] > 50 and message["forced_expire"] is False
    recipient = message["recipients"][0]
    assert recipient["address"] == "bob@there.net" and recipient["delay_reason"].endswith('said: 451 4.7.1 say "please"')
    server.cli("queue", "hold", "--all")
    assert postfix_list(server)[0]["queue_name"] == "hold"
    assert postfix_list(server, "--sender", EVE) == []


# ---- watch ----

def start_watch(server, *arguments, **options):
    return subprocess.Popen([str(PROGRAM), "queue", "watch", *arguments, "--config", str(server.config)],
                            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options})


def interrupt(watch):
    watch.send_signal(signal.SIGINT)
    return watch.wait(PATIENCE)


def test_watch_prints_a_line_a_second_and_outlives_a_reload(mailboat):
    server = people(mailboat(relay=away_to(free_port())))
    send(server, ADA, "bob@there.net")
    server.wait_log("deferred")
    watch = start_watch(server)
    lines = [watch.stdout.readline() for _ in range(2)]
    assert all("in progress 0" in line and "refused" in line.lower() for line in lines), lines
    assert "delivered -/s" in lines[0] and "delivered 0.0/s" in lines[1]
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded")
    for line in watch.stdout:  # the new process counts from zero
        if "delivered -/s" in line:
            break
    assert "in progress" in watch.stdout.readline()
    assert interrupt(watch) == 130 and watch.stderr.read() == ""


def test_watch_says_when_no_server_runs(mailboat):
    server = people(mailboat())
    watch = start_watch(server)
    assert "in progress" in watch.stdout.readline()
    server.stop()
    assert watch.wait(PATIENCE) == 69 and "no server is running" in watch.stderr.read()
    done = server.cli("queue", "watch", check=False)
    assert done.returncode == 69 and done.stdout == "" and "no server is running" in done.stderr and done.stderr.count("\n") == 1


def test_watch_draws_on_a_terminal_and_puts_it_back(mailboat):
    server = people(mailboat())
    terminal, end = pty.openpty()
    watch = start_watch(server, stdout=end, stdin=end, env={**os.environ, "TERM": "xterm"})
    os.close(end)
    seen = b""
    while b"destination" not in seen or seen.count(b"\x1b[H") < 2:
        seen += os.read(terminal, 4096)
    assert seen.startswith(b"\x1b[?1049h") and b"deliveries in progress" in seen
    watch.send_signal(signal.SIGINT)
    try:
        while part := os.read(terminal, 4096):
            seen += part
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    assert watch.wait(PATIENCE) == 130
    assert seen.endswith(b"\x1b[?25h\x1b[?1049l")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("arguments", ["queue list", "queue stats", "queue show 0q3k9d2m8w00", "queue retry --all", "explain 0q3k9d2m8w00", "trust log"])
def test_a_user_without_the_right_is_told_who_has_it(shared_server, arguments):
    shared_server.certificates.chmod(0o711)  # nobody reads the configuration, too
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", PROGRAM, *arguments.split(), "--config", shared_server.config]
    done = subprocess.run(nobody, capture_output=True, text=True)
    assert done.returncode == 77 and "only root and " in done.stderr and "as root" in done.stderr and not done.stdout, done
