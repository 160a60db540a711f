# SPDX-License-Identifier: Apache-2.0
"""Name servers that answer after seconds: a message of another server waits for them while `trust` has time, and
is accepted without their answers when it has none."""
import socket
import threading

import pytest

from mailboat import PATIENCE, smtp, until
from name_server import NameServer

RECORDS = """
_dmarc TXT "v=DMARC1; p=none; psd=y"
slow TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.slow TXT "v=DMARC1; p=reject"
silent TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.silent TXT "v=DMARC1; p=reject"
"""
SENT_AGAIN = 3  # questions for one name until the resolver library has waited more than a second


class SlowServer:
    """Passes questions on to a name server; those for names below `held` get no answer until release()."""

    def __init__(self, server, held):
        self.to, self.held = ("127.0.0.1", server.port), held
        self.asked, self.released = {}, threading.Event()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.resolver = f'resolver: {{servers: ["127.0.0.1:{self.socket.getsockname()[1]}"], dnssec: off}}\n'
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                packet, client = self.socket.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self._answer, args=(packet, client), daemon=True).start()

    def _answer(self, packet, client):
        name = name_of(packet)
        self.asked[name] = self.asked.get(name, 0) + 1
        if f".{name}".endswith(f".{self.held}"):
            self.released.wait()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as onward:
            onward.settimeout(PATIENCE)
            onward.sendto(packet, self.to)
            try:
                self.socket.sendto(onward.recv(4096), client)
            except OSError:
                pass

    def close(self):
        self.released.set()
        self.socket.close()


def name_of(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode().lower())
        at += 1 + packet[at]
    return ".".join(labels)


@pytest.fixture
def judging(mailboat, tmp_path, request):
    """A server whose name server is slow for one domain."""
    names = NameServer(tmp_path, RECORDS)
    slow = SlowServer(names, request.param)
    server = mailboat(extra=slow.resolver, trust="")
    server.add_user("ada@example.org", "secret-of-ada")
    server.names = slow
    yield server
    slow.close()
    names.stop()


def give(server, domain, replies, subject):
    with smtp(server, 25) as client:
        client.ehlo("mx.sender.test")
        client.mail(f"anne@{domain}")
        client.rcpt("ada@example.org")
        replies.append(client.data(f"From: anne@{domain}\r\nSubject: {subject}\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@{domain}>\r\n\r\nhello\r\n"))


def arrived(server, subject):
    return " ".join(server.arrivals("ada@example.org", subject)[0].decode().split())


@pytest.mark.parametrize("judging", ["slow.test"], indirect=True)
def test_answers_that_come_late_are_waited_for(judging):
    replies = []
    sender = threading.Thread(target=give, args=(judging, "slow.test", replies, "late"))
    sender.start()
    until(lambda: judging.names.asked.get("slow.test", 0) >= SENT_AGAIN)
    assert judging.names.asked["slow.test"] >= SENT_AGAIN and not replies  # the client has no reply: it is waited for
    judging.names.released.set()
    sender.join()
    assert replies[0][0] == 250
    text = arrived(judging, "late")
    assert "dmarc=pass" in text and "spf=pass" in text and text.endswith("hello")


@pytest.mark.parametrize("judging", ["silent.test"], indirect=True)
def test_answers_that_come_too_late_are_a_temporary_failure(judging):
    replies = []
    give(judging, "silent.test", replies, "too late")
    assert replies[0][0] == 250 and not judging.names.released.is_set()
    text = arrived(judging, "too late")
    assert "spf=temperror" in text and "dmarc=temperror" in text and text.endswith("hello")
    judging.names.released.set()

    def passes():  # the resolver library may wait a little before it asks a silent server again
        give(judging, "silent.test", replies, f"again {len(replies)}")
        return replies[-1][0] == 250 and "dmarc=pass" in arrived(judging, f"again {len(replies) - 1}")
    until(passes)
    assert passes()
