# SPDX-License-Identifier: Apache-2.0
"""What programs send that other servers accept: it is accepted, and mended where the next reader needs it."""
import pytest

from mailboat import smtp, until
from plain_peer import away_to

ADA, BOB, PASSWORD = "ada@example.org", "bob@there.net", "secret-of-ada"


@pytest.fixture
def server(mailboat, peer):
    it = mailboat(relay=away_to(peer.port))
    it.add_user(ADA, PASSWORD)
    return it


def received(peer, count=1):
    until(lambda: len(peer.letters) >= count)
    assert len(peer.letters) == count
    return peer.letters[-1]


# ---- addresses ----

@pytest.mark.parametrize("address", ["a..b@there.net", ".a@there.net", "a.@there.net", "a...@there.net", f"{'v' * 256}@there.net", "bounce+ada=example.org@there.net"])
def test_addresses_that_the_standard_forbids_are_passed_on(server, peer, address):
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [address], f"From: {ADA}\r\nSubject: x\r\n\r\nhi\r\n")
    assert f"RCPT TO:<{address}>" in received(peer)[0]


@pytest.mark.parametrize("sender", ["SRS1=" + "h" * 200 + "==example.net=bob@example.net", f"{'v' * 256}@{'d' * 63}.{'e' * 63}.net", "a..b.@docomo.example"])
def test_long_and_dotted_senders_arrive_with_their_sender(server, sender):
    server.cli("user", "forward", ADA, BOB)
    with smtp(server, 25, starttls=False) as client:
        client.sendmail(sender, [ADA], "Subject: x\r\n\r\nhi\r\n")
    assert f"MAIL FROM:<{sender}>" in received(peer)[0]


def test_names_of_users_stay_short(server):
    done = server.cli("user", "add", f"{'u' * 65}@example.org", "--password-stdin", text_input="a long secret\n", check=False)
    assert done.returncode == 65 and "the limit for a user is 64" in done.stderr
    server.add_user(f"{'u' * 64}@example.org", "a long secret")
