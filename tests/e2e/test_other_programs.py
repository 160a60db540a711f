# SPDX-License-Identifier: Apache-2.0
"""What programs send that other servers accept: it is accepted, and mended where the next reader needs it."""
import email
import email.policy

import pytest

from mailboat import run, smtp, until
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
def test_long_and_dotted_senders_arrive_with_their_sender(server, peer, sender):
    server.cli("user", "forward", ADA, BOB)
    with smtp(server, 25, starttls=False) as client:
        client.sendmail(sender, [ADA], "Subject: x\r\n\r\nhi\r\n")
    assert received(peer)[0][0].split(" SIZE")[0] == f"MAIL FROM:<{sender}>"


# ---- authors ----

LEGAL = [f"Ada (Countess (of Lovelace)) <{ADA}>", f"(the) Ada <(at) ada (home) @ example.org (x)> (y)", f"Ada B. Lovelace\r\n (Countess)\r\n <{ADA}>", f"team: {ADA};",
         f'"Lovelace, Ada" (the first) <{ADA}>', f"=?utf-8?q?L=C3=B6we?= (x) <{ADA}>"]
UNQUOTED = {f"Lovelace, Ada <{ADA}>": "Lovelace, Ada", f"visitor@there.net <{ADA}>": "visitor@there.net", f"Ada @ Shop, Ltd. [new]: orders; <{ADA}> (x)": "Ada @ Shop, Ltd. [new]: orders;",
            f'"Ada" Lovelace, "B \\"C\\"" <{ADA}>': 'Ada Lovelace, B "C"', f"Lovelace,\r\n Ada <{ADA}>": "Lovelace, Ada", f"Ada :( <{ADA}>": "Ada :(",
            f"=?utf-8?Q?L=C3=B6we,_Ada?= & Co, Ltd <{ADA}>": "Löwe, Ada & Co, Ltd"}


@pytest.mark.parametrize("author", LEGAL)
def test_comments_in_from_are_accepted_and_stay(server, peer, author):
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [BOB], f"From: {author}\r\nSubject: x\r\n\r\nhi\r\n")
    assert f"\r\nFrom: {author}\r\n".encode() in received(peer)[1]


@pytest.mark.parametrize("author", UNQUOTED)
def test_names_without_their_quotes_get_them(server, peer, author):
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [BOB], f"From: {author}\r\nSubject: x\r\n\r\nhi\r\n")
    (address,) = email.message_from_bytes(received(peer)[1], policy=email.policy.default)["From"].addresses
    assert (address.addr_spec, address.display_name) == (ADA, UNQUOTED[author])


def test_on_25_no_name_is_touched(server):
    author = "Doe, John <john@there.net>, a@b"
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("x@there.net", [ADA], f"From: {author}\r\nSubject: untouched\r\n\r\nhi\r\n")
    assert f"\nFrom: {author}\n".encode() in server.arrivals(ADA, "untouched")[0]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_sendmail_quotes_too(server, peer, state):
    if state == "stopped":
        server.stop()
    run("sendmail", "-C", server.config, "-i", "-f", "shop@example.org", BOB, text_input="From: Doe, John @ Shop <shop@example.org>\nSubject: x\n\nhi\n")
    if state == "stopped":
        server.start()
    assert b'\nFrom: "Doe, John @ Shop" <shop@example.org>\r\n' in received(peer)[1]


def test_names_of_users_stay_short(server):
    done = server.cli("user", "add", f"{'u' * 65}@example.org", "--password-stdin", text_input="a long secret\n", check=False)
    assert done.returncode == 65 and "the limit for a user is 64" in done.stderr
    server.add_user(f"{'u' * 64}@example.org", "a long secret")
