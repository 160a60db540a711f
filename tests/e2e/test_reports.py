# SPDX-License-Identifier: Apache-2.0
"""Reports to senders (RFC 3461 to 3464), read by Python's email package."""
import email
import email.policy

import pytest

from mailboat import smtp, until
from plain_peer import Peer, away_to

ADA, PASSWORD = "ada@example.org", "secret-of-ada"
LETTER = f"From: {ADA}\r\nSubject: the letter\r\nX-Mark: 1\r\n\r\nits text\r\n"


@pytest.fixture
def peer():
    it = Peer()
    yield it
    it.close()


@pytest.fixture
def server(mailboat, peer):
    it = mailboat(relay=away_to(peer.port), extra="queue: {retry: {first: 1s, max: 1s, expire: 3s}, warn_after: 1s}\n")
    for user in (ADA, "bob@example.org", "carl@example.org"):
        it.add_user(user, PASSWORD)
    return it


def submit(server, recipients, text=LETTER, sender=ADA, mail=(), rcpt=()):
    """The queue id."""
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo()
        assert client.mail(sender, list(mail))[0] == 250
        for recipient in recipients:
            assert client.rcpt(recipient, list(rcpt))[0] == 250
        code, said = client.data(text)
        assert code == 250
    return said.split()[-1].decode()


class Report:
    def __init__(self, octets):
        self.whole = email.message_from_bytes(octets, policy=email.policy.default)
        assert self.whole.get_content_type() == "multipart/report" and self.whole.get_param("report-type") == "delivery-status"
        words, status, self.returned = self.whole.iter_parts()
        self.words = words.get_content()
        assert status.get_content_type() == "message/delivery-status"
        self.message, *self.recipients = status.get_payload()

    def fates(self):
        return {r["Final-Recipient"].split(";")[1].strip(): (r["Action"], r["Status"]) for r in self.recipients}


def reports(server, count=1):
    def found():
        return [m for m in server.mail(ADA) if b"multipart/report" in m]
    until(lambda: len(found()) >= count)
    assert len(found()) == count
    return [Report(m) for m in found()]


def test_a_failure_says_who_said_what(server, peer):
    peer.says = {"bob@there.net": "550 5.1.1 no such user", "carl@there.net": "550 5.7.1 not you"}
    queue_id = submit(server, ["bob@there.net", "carl@there.net", "dora@there.net"], mail=["ENVID=QQ+2B1"], rcpt=["ORCPT=rfc822;first+2Bone@x.example"])
    report, = reports(server)
    assert report.fates() == {"bob@there.net": ("failed", "5.1.1"), "carl@there.net": ("failed", "5.7.1")}  # dora has it
    assert report.whole["From"].startswith("Mail Delivery System <") and report.whole["To"] == ADA and report.whole["Auto-Submitted"] == "auto-replied"
    assert b"Return-Path: <>" in [m for m in server.mail(ADA) if b"multipart/report" in m][0]
    assert report.message["Reporting-MTA"] == "dns; mx.example.org" and report.message["Original-Envelope-Id"] == "QQ+1"
    assert report.message["X-Mailboat-Queue-Id"] == queue_id
    bob = report.recipients[0]
    assert bob["Original-Recipient"] == "rfc822; first+one@x.example" and bob["Remote-MTA"] == "dns; localhost"
    assert bob["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert "<bob@there.net>: could not be delivered:" in report.words and "550 5.1.1 no such user" in report.words and "letter by letter" in report.words


@pytest.mark.parametrize("ret, kind, has_text", [("RET=HDRS", "text/rfc822-headers", False), ("RET=FULL", "message/rfc822", True)])
def test_what_is_given_back(server, peer, ret, kind, has_text):
    peer.says = "550 5.1.1 no"
    submit(server, ["bob@there.net"], mail=[ret])
    report, = reports(server)
    assert report.returned.get_content_type() == kind
    assert ("its text" in report.returned.as_string()) == has_text and "X-Mark: 1" in report.returned.as_string()


def test_a_large_message_is_given_back_by_its_header(server, peer):
    peer.says = "550 5.1.1 no"
    submit(server, ["bob@there.net"], text=LETTER + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 2000, mail=["RET=FULL"])
    report, = reports(server)
    assert report.returned.get_content_type() == "text/rfc822-headers" and len(report.returned.as_bytes()) < 17000


def test_a_delay_is_told_once_and_then_the_end(server, peer):
    peer.says = "451 4.2.0 later"
    submit(server, ["bob@there.net"])
    late, over = reports(server, 2)
    assert late.fates() == {"bob@there.net": ("delayed", "4.2.0")} and late.recipients[0]["Will-Retry-Until"] and "still being tried" in " ".join(late.words.split())
    assert over.fates() == {"bob@there.net": ("failed", "4.2.0")}


def test_success_is_told_to_who_asks(server, peer):
    submit(server, ["dora@there.net"], rcpt=["NOTIFY=SUCCESS"])
    report, = reports(server)
    assert report.fates() == {"dora@there.net": ("relayed", "2.0.0")}
    submit(server, ["bob@example.org"], rcpt=["NOTIFY=SUCCESS,FAILURE"])
    assert reports(server, 2)[1].fates() == {"bob@example.org": ("delivered", "2.0.0")}


def test_an_alias_of_several_is_told_as_expanded_and_its_members_stay_hidden(server, peer):
    for member in ("bob@example.org", "carl@example.org"):
        server.cli("alias", "add", "team@example.org", member)
    submit(server, ["team@example.org"], rcpt=["NOTIFY=SUCCESS,FAILURE"])
    until(lambda: server.mail("bob@example.org") and server.mail("carl@example.org"))
    report, = reports(server)
    assert report.fates() == {"team@example.org": ("expanded", "2.0.0")}
    assert "bob@" not in report.whole.as_string() and "carl@" not in report.whole.as_string()


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS"])
def test_nobody_is_told_who_did_not_ask(server, peer, notify):
    peer.says = "550 5.1.1 no"
    queue_id = submit(server, ["bob@there.net"], rcpt=[f"NOTIFY={notify}"])
    server.wait_log("bounced", f"id={queue_id}")
    until(lambda: server.queue_count() == 0)
    assert server.mail(ADA) == [] and not server.lines("accepted", "protocol=report")


def test_the_null_sender_is_never_told(server, peer):
    peer.says = "550 5.1.1 no"
    server.cli("alias", "add", "away@example.org", "bob@there.net")
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("", ["away@example.org"], LETTER)
    server.wait_log("bounced", "to=bob@there.net")
    until(lambda: server.queue_count() == 0)
    assert server.queue_count() == 0 and not server.lines("accepted", "protocol=report")


def test_who_is_asked_passes_the_wish_on(server, peer):
    peer.knows = ["DSN"]
    submit(server, ["dora@there.net"], mail=["RET=HDRS", "ENVID=e1"], rcpt=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;d@x.example"])
    until(lambda: peer.letters)
    (mail, rcpt), _ = peer.letters[0]
    assert "RET=HDRS" in mail and "ENVID=e1" in mail and "NOTIFY=SUCCESS,DELAY" in rcpt and "ORCPT=rfc822;d@x.example" in rcpt
    assert server.mail(ADA) == []  # the other server reports
