# SPDX-License-Identifier: Apache-2.0
"""Servers that misbehave: endless replies, garbage, replies in the wrong place or two together, connections
that drop in a reply, plain text after STARTTLS. The relay limits what it reads, reports the problem once, and
defers or bounces."""
import asyncio
import json
import threading

import pytest

from mailboat import PATIENCE, Mailboat, memory_kib, run, until

ENDLESS = 64 << 20  # octets that a peer sends; the relay must not read all


class BadPeer:
    """`script` by verb (or "greeting", "end"): octets, or a coroutine function of
    reader and writer, in place of the correct reply."""

    RIGHT = {"greeting": b"220 peer\r\n", "EHLO": b"250 peer\r\n", "DATA": b"354 go\r\n", "end": b"250 taken\r\n", "QUIT": b"221 bye\r\n"}

    def __init__(self, script):
        self.script, self.contents, self.commands = script, [], []
        self.sent = 0

    async def say(self, reader, writer, step):
        what = self.script.get(step, self.RIGHT.get(step, b"250 ok\r\n"))
        if callable(what):
            return await what(self, reader, writer)
        writer.write(what)
        await writer.drain()

    async def talk(self, reader, writer):
        try:
            await self.say(reader, writer, "greeting")
            while line := await reader.readline():
                verb = line.split()[0].decode("latin-1").upper() if line.split() else ""
                self.commands.append(verb)
                await self.say(reader, writer, verb)
                if verb == "DATA" and "DATA" not in self.script:
                    content = b""
                    while (line := await reader.readline()) not in (b".\r\n", b""):
                        content += line
                    if line:
                        self.contents.append(content)
                        await self.say(reader, writer, "end")
                if verb == "QUIT":
                    break
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Peers:
    """Bad peers by name, each on its own port."""

    def __init__(self, scripts):
        self.peers = {name: BadPeer(script) for name, script in scripts.items()}
        self.loop = asyncio.new_event_loop()
        self.ports, ready = {}, threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        assert ready.wait(PATIENCE)

    def _run(self, ready):
        async def listen():
            for name, peer in self.peers.items():
                server = await asyncio.start_server(peer.talk, "127.0.0.1", 0)
                self.ports[name] = server.sockets[0].getsockname()[1]
            ready.set()
        self.loop.run_until_complete(listen())
        self.loop.run_forever()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


def endless(piece, start=b""):
    async def talk(peer, _, writer):
        writer.write(start)
        while peer.sent < ENDLESS:
            writer.write(piece)
            peer.sent += len(piece)
            await writer.drain()
    return talk


def then_close(octets):
    async def talk(_, __, writer):
        writer.write(octets)
        await writer.drain()
        writer.close()
    return talk


def then_reset(octets):
    async def talk(_, __, writer):
        writer.write(octets)
        await writer.drain()
        writer.transport.abort()
    return talk


LINES = b"250-and another thing\r\n" * 400
NOT_SMTP, ENDED = "the server did not reply in SMTP", "the connection was closed"

# Behaviour; result of the message; step (none for a bounce) and words in the log.
CASES = {
    "endless-ehlo": ({"EHLO": endless(LINES)}, "deferred", "step=ehlo", NOT_SMTP),
    "endless-greeting": ({"greeting": endless(b"220-" + b"w" * 500 + b"\r\n")}, "deferred", "step=greeting", NOT_SMTP),
    "long-lines-mail": ({"MAIL": endless(b"250-" + b"l" * 4000 + b"\r\n")}, "deferred", "step=mail", NOT_SMTP),
    "no-crlf": ({"greeting": endless(b"x" * 4096, b"220 ")}, "deferred", "step=greeting", NOT_SMTP),
    "no-crlf-rcpt": ({"RCPT": endless(b"y" * 4096, b"250 ")}, "deferred", "step=rcpt", NOT_SMTP),
    "garbage": ({"greeting": b"\xff\xfe\x80\x00\x01\r\n"}, "deferred", "step=greeting", NOT_SMTP),
    "garbage-in-reply": ({"RCPT": b"550 \xe4\xf6\xfc \x1b[2J\x07 no\r\n"}, "bounced", "", "code=550"),
    "354-to-rcpt": ({"RCPT": b"354 go ahead\r\n"}, "deferred", "step=rcpt", "code=354"),
    "250-to-data": ({"DATA": b"250 fine\r\n"}, "deferred", "step=data", "code=250"),
    "334-to-mail": ({"MAIL": b"334 \r\n"}, "deferred", "step=mail", "code=334"),
    "two-at-once": ({"MAIL": b"250 ok\r\n250 ok\r\n"}, "deferred", "step=rcpt", "the server sent an unexpected reply"),
    "two-refusals": ({"RCPT": b"550 5.1.1 no\r\n550 5.1.1 no\r\n"}, "bounced", "", "code=550"),
    "codes-differ": ({"RCPT": b"550-no\r\n250 yes\r\n"}, "deferred", "step=rcpt", NOT_SMTP),
    "mid-reply": ({"RCPT": then_close(b"250-o")}, "deferred", "step=rcpt", ENDED),
    "mid-reply-end": ({"end": then_close(b"25")}, "deferred", "step=data", ENDED),
    "reset-at-end": ({"end": then_reset(b"")}, "deferred", "step=data", "connection"),
    "421-at-mail": ({"MAIL": then_close(b"421 4.3.2 closing\r\n")}, "deferred", "step=mail", "code=421"),
    "421-at-end": ({"end": then_close(b"421 4.3.2 closing\r\n")}, "deferred", "step=data", "code=421"),
    "greylisted": ({"RCPT": b"450 4.2.0 greylisted\r\n"}, "deferred", "step=rcpt", "code=450"),
    "554-greeting": ({"greeting": then_close(b"554 5.7.1 go away\r\n")}, "deferred", "step=greeting", "code=554"),
    "550-at-end": ({"end": b"550 5.7.1 spam\r\n"}, "bounced", "", "code=550"),
    "http": ({"greeting": then_close(b"HTTP/1.1 400 Bad Request\r\n\r\n")}, "deferred", "step=greeting", "a web server answers here"),
    "injected": ({"EHLO": b"250-peer\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n250-peer\r\n250 AUTH PLAIN\r\n"},
                 "deferred", "step=tls", "plain text was received after STARTTLS: someone is tampering"),
    "no-handshake": ({"EHLO": b"250-peer\r\n250 STARTTLS\r\n", "STARTTLS": b"454 4.7.0 no TLS today\r\n"}, "deferred", "step=tls", "code=454"),
}
NEED_TLS = ("injected", "no-handshake")


@pytest.fixture(scope="module")
def relayed(tmp_path_factory, certificates):
    """One relay, and a message to a recipient at each peer."""
    peers = Peers({name: case[0] for name, case in CASES.items()})
    routes = "".join(f"    - {{domain: {name}.test, host: 127.0.0.1, port: {port}, tls: {'encrypt' if name in NEED_TLS else 'may'}}}\n"
                     for name, port in peers.ports.items())
    server = Mailboat(tmp_path_factory.mktemp("bad"), certificates, relay=f"relay:\n  routes:\n{routes}",
                      extra="queue: {retry: {first: 1h, max: 1h}}\n")
    server.start()
    server.add_user("ada@example.org", "secret-of-ada")
    for name in CASES:
        run("send", "--config", server.config, "--from", "ada@example.org", "--to", f"x@{name}.test", "--subject", name, "--body", "hello")
    yield server, peers
    server.stop()
    peers.stop()


@pytest.mark.parametrize("name", CASES)
def test_it_is_logged_once_and_waits_or_comes_back(relayed, name):
    server, peers = relayed
    _, fate, step, words = CASES[name]
    line, = server.wait_log(fate, f"to=x@{name}.test")
    assert step in line and words in line, line
    assert line.isprintable()  # no reply can forge a log line or move a cursor
    others = [l for l in server.log if f"to=x@{name}.test" in l and l.split(" ", 4)[3] in ("deferred", "bounced", "delivered", "expired")]
    assert others == [line]
    queue_id = next(word for word in line.split() if word.startswith("id=")).removeprefix("id=")
    if fate == "deferred":
        until(lambda: "x@" in server.cli("queue", "show", queue_id, check=False).stdout)
        shown = server.cli("queue", "show", queue_id).stdout
        assert f"x@{name}.test" in shown and (words in shown or words.removeprefix("code=") in shown), shown
        assert queue_id in server.cli("queue", "list", "--json").stdout
    else:
        until(lambda: any(f"x@{name}.test".encode() in m for m in server.mail("ada@example.org")))
        assert sum(f"Final-Recipient: rfc822; x@{name}.test".encode() in m for m in server.mail("ada@example.org")) == 1


def test_who_talks_without_end_is_not_listened_to(relayed):
    server, peers = relayed
    for name in ("endless-ehlo", "endless-greeting", "long-lines-mail", "no-crlf", "no-crlf-rcpt"):
        server.wait_log("deferred", f"to=x@{name}.test")
        assert peers.peers[name].sent < ENDLESS // 2, name  # only what the kernel buffers
    relay, = server.processes()["relay"]
    assert memory_kib(relay) < 60 * 1024


def test_nothing_was_sent_in_clear_where_tls_is_asked_for(relayed):
    server, peers = relayed
    for name in NEED_TLS:
        server.wait_log("deferred", f"to=x@{name}.test")
        assert "MAIL" not in peers.peers[name].commands and not peers.peers[name].contents


def test_all_of_them_are_waited_for_and_no_process_died(relayed):
    server, _ = relayed
    for name, case in CASES.items():
        server.wait_log(case[1], f"to=x@{name}.test")
    assert not server.lines("died") and not server.lines("crashed")
    waiting = [name for name, case in CASES.items() if case[1] == "deferred"]
    until(lambda: server.queue_count() == len(waiting))
    listed = json.loads(server.cli("queue", "list", "--json").stdout)
    assert len(listed) == len(waiting)
