# SPDX-License-Identifier: Apache-2.0
"""The queue commands agree on reason and time. A message's own text, narrow and coloured terminals, states,
and the log."""
import json
import os
import pty
import re
import struct
import subprocess
import fcntl
import termios

import pytest

from mailboat import PROGRAM, run, free_port, smtp, until
from plain_peer import Peer, away_to
from test_queue_cli import ADA, EVE, HELD, PASSWORD, ask, ids, people, send

LONG = "451 4.7.1 Your host is listed on blocklist.example; please see https://blocklist.example/lookup?address=192.0.2.1&language=english and ask your administrator"


def on_a_terminal(server, *arguments, columns=80, **environment):
    """Returns the output of the command on a terminal of this width."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen([str(PROGRAM), *arguments, "-C" if arguments[0] == "sendmail" else "--config", str(server.config)],
                               stdout=end, stdin=end, stderr=subprocess.DEVNULL,
                               env={**kept, "TERM": "xterm", **environment})
    os.close(end)
    seen = b""
    try:
        while part := os.read(terminal, 4096):
            seen += part
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    process.wait()
    return seen.decode().replace("\r\n", "\n")


def without_ages(sentence):
    return re.sub(r"\(in \w+\)", "", sentence)


def assert_one_answer(server):
    """Checks that list, show and explain agree on each message; returns the states."""
    states = []
    for listed in ask(server, "queue", "list"):
        shown, = ask(server, "queue", "show", listed["id"])["recipients"]
        explained, = ask(server, "explain", listed["id"])["recipients"]
        assert listed["wait"] == shown["state"] == explained["state"]
        if explained["state"] != "turn":
            assert listed["next_ms"] == shown["next_ms"] == explained["next_ms"]
        assert without_ages(listed["why"]) == without_ages(shown["why"]) == without_ages(explained["why"])
        states.append(explained["state"])
    return states


def test_a_destination_that_is_put_off_is_told_alike(mailboat):
    server = people(mailboat(relay=away_to(free_port())))
    for _ in range(8):
        send(server, ADA, "bob@there.net")
    server.wait_log("destination_backoff")
    states = assert_one_answer(server)
    assert "destination_backoff" in states
    for listed in ask(server, "queue", "list", "--state", "destination_backoff"):
        assert listed["state"] == "waiting" and "connections to the smarthost failed in a row" in listed["reason"]
    text = server.cli("queue", "list").stdout
    assert "connections to the smarthost failed in a row" in text and "due now" not in text
    server.cli("queue", "hold", ids(server)[0])
    assert "held" in assert_one_answer(server)
    server.stop()
    assert set(assert_one_answer(server)) == {"held", "no_server"}
    assert "the server is not running" in server.cli("queue", "list").stdout


def test_states_are_a_filter(mailboat):
    server = people(mailboat(extra=HELD))
    send(server, ADA, "bob@there.net", "carl@far.org")
    send(server, EVE, "bob@there.net")
    server.cli("queue", "hold", "--domain", "far.org")
    first, second = ids(server)
    assert ids(server, "--state", "held") == [first] and ids(server, "--state", "HOLD") == [first]
    assert ids(server, "--state", "all_held") == [first, second] and ids(server, "--state", "ready") == [first, second]
    assert ids(server, "--state", "waiting") == [] and ids(server, "--state", "in_progress") == []
    assert ids(server, "--state", "ready", "--sender", EVE) == [second]
    assert ask(server, "queue", "release", "--state", "held") == {"recipients": 1}
    assert ids(server, "--state", "held") == []
    assert ask(server, "queue", "remove", "--state", "ready", "--sender", ADA) == {"recipients": 2}
    refused = server.cli("queue", "list", "--state", "lost", check=False)
    assert refused.returncode == 64 and "'lost' is not a state" in refused.stderr and refused.stderr.count("\n") == 1
    server.stop()
    assert ask(server, "queue", "hold", "--state", "no_server") == {"recipients": 1}
    assert ids(server, "--state", "held") == [second]


# ---- the message ----

def test_the_message_itself_is_shown_to_root(mailboat):
    server = people(mailboat(extra=HELD))
    large = "\r\n".join(f"line {i} of a large message" for i in range(20000))
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, ["bob@there.net"], f"From: {ADA}\r\nSubject: small\r\n\r\n\x1b[31mhello\r\n.dot\r\n")
        client.sendmail(ADA, ["bob@there.net"], f"From: {ADA}\r\nSubject: large\r\n\r\n{large}\r\n")
    first, second = ids(server)
    arguments = [str(PROGRAM), "queue", "show", first, "--message", "--config", str(server.config)]
    small = subprocess.run(arguments, capture_output=True, check=True).stdout
    assert small.startswith(b"Received: ") and b"\r\nSubject: small\r\n" in small and small.endswith(b"\r\n\r\n\x1b[31mhello\r\n.dot\r\n")
    arguments[3] = second
    assert subprocess.run(arguments, capture_output=True, check=True).stdout.endswith(large.encode() + b"\r\n")
    assert int(ask(server, "queue", "show", first)["size"]) == len(small)
    seen = on_a_terminal(server, "queue", "show", first, "--message")
    assert "\x1b[31m" not in seen and "?[31mhello\n.dot\n" in seen and "\nSubject: small\n" in seen
    assert server.cli("queue", "show", first, "--message", "--json", check=False).returncode == 64
    if os.geteuid() == 0:
        os.chmod(server.certificates, 0o755)
        refused = server.cli("queue", "show", first, "--message", check=False, user=65534, group=65534, extra_groups=[])
        assert refused.returncode == 77 and "only root" in refused.stderr and refused.stdout == ""


def test_what_is_gone_has_one_exit_code(mailboat):
    server = people(mailboat(extra=HELD))
    send(server, ADA, "bob@there.net")
    gone, = ids(server)
    server.cli("queue", "remove", gone)
    for served in (True, False):
        if not served:
            server.stop()
        for arguments in (["explain", gone], ["queue", "show", gone], ["queue", "show", gone, "--message"], ["queue", "show", gone, "--json"],
                          *(["queue", verb, gone] for verb in ("retry", "hold", "release", "remove"))):
            done = server.cli(*arguments, check=False)
            assert done.returncode == 69 and f"{gone} is not in the queue" in done.stderr, arguments


# ---- terminals ----

@pytest.fixture
def refused_at_length(mailboat, peer):
    peer.tls, peer.says = None, LONG
    server = people(mailboat(relay=away_to(peer.port)))
    send(server, ADA, "a-rather-long-name-of-a-person@a-rather-long-name-of-a-domain.there.example.net", "carl@far.org")
    server.wait_log("deferred", count=2)
    return server


@pytest.fixture
def peer(certificates):
    it = Peer(certificates)
    yield it
    it.close()


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_tables_fit_the_terminal_and_keep_the_reason(refused_at_length, columns):
    server = refused_at_length
    queue_id, = ids(server)
    for arguments in (["list"], ["show", queue_id], ["stats"]):
        seen = on_a_terminal(server, "queue", *arguments, columns=columns)
        plain = re.sub(r"\x1b\[\d*m", "", seen)
        assert all(len(line) <= columns for line in plain.splitlines()), (arguments, seen)
        joined = "".join(plain.split())
        for word in ("listed on blocklist.example", "ask your administrator") if arguments == ["stats"] else (LONG,):
            assert "".join(word.split()) in joined or arguments == ["stats"], (arguments, seen)
        piped = server.cli("queue", *arguments, env={**os.environ, "COLUMNS": str(columns)}).stdout
        assert all(len(line) <= columns for line in piped.splitlines()) and "\x1b" not in piped
    for arguments in (["explain", queue_id], ["sendmail", "-bp"]):
        plain = on_a_terminal(server, *arguments, columns=columns)
        assert all(len(line) <= columns for line in plain.splitlines()), plain
        assert "".join(LONG.split()) in "".join(plain.split()), plain
    wide = {**os.environ, "COLUMNS": str(columns)}
    assert any(LONG in line for line in run("sendmail", "-bp", "-C", server.config, env=wide).stdout.splitlines())  # programs read it line by line
    assert LONG in server.cli("queue", "list", env={k: v for k, v in os.environ.items() if k != "COLUMNS"}).stdout


def test_what_is_wrong_has_a_colour_on_terminals_alone(refused_at_length):
    server = refused_at_length
    for arguments in (["list"], ["show", *ids(server)], ["stats"]):
        assert "\x1b[31m" in on_a_terminal(server, "queue", *arguments)
        assert "\x1b" not in on_a_terminal(server, "queue", *arguments, NO_COLOR="1")
        assert "\x1b" not in on_a_terminal(server, "queue", *arguments, TERM="dumb")
        assert "\x1b" not in server.cli("queue", *arguments).stdout
    server.cli("queue", "hold", "--all")
    assert "\x1b[33m(held)\x1b[0m" in on_a_terminal(server, "queue", "list")


@pytest.mark.parametrize("columns", [60, 80])
def test_watch_keeps_the_reason_on_a_narrow_terminal(refused_at_length, columns):
    server = refused_at_length
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    watch = subprocess.Popen([str(PROGRAM), "queue", "watch", "--config", str(server.config)], stdout=end, stdin=end, stderr=subprocess.PIPE,
                             env={**os.environ, "TERM": "xterm"})
    os.close(end)
    seen = b""
    while b"administrator" not in b"".join(seen.split()):
        seen += os.read(terminal, 4096)
    watch.terminate()
    watch.wait()
    os.close(terminal)
    frame = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen.decode()).replace("^C ends it.", "\r\n")  # possibly several frames
    assert all(len(line) <= columns for line in frame.replace("\r", "").splitlines()), frame


# ---- the log ----

def test_a_refusal_says_who_it_was(mailboat):
    server = people(mailboat())
    with smtp(server, 25, starttls=False) as client:
        client.ehlo("mail.stranger.example")
        client.mail("sam@stranger.example")
        client.rcpt("nobody@example.org")
        client.rcpt("someone@elsewhere.example")
        client.rset()
        client.mail("sam@stranger.example", ["SIZE=99999999999"])
    who = ("from=sam@stranger.example", "helo=mail.stranger.example", "client=127.0.0.1")
    server.wait_log("reply_rejected", "code=550", "to=nobody@example.org", *who)
    server.wait_log("reply_rejected", "to=someone@elsewhere.example", *who)
    line, = server.wait_log("reply_rejected", "code=552", *who)
    assert " to=" not in line
