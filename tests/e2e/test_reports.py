# SPDX-License-Identifier: Apache-2.0
"""Reports to senders (RFC 3461 to 3464), read by Python's email package."""
import email
import email.policy
import os
import re

import pytest

from mailboat import free_port, smtp, until
from plain_peer import away_to

ADA, PASSWORD = "ada@example.org", "secret-of-ada"
RETRY = "queue: {retry: {first: 1s, max: 1s, expire: 3s}, warn_after: 1s}\n"
LETTER = f"From: {ADA}\r\nSubject: the letter\r\nX-Mark: 1\r\n\r\nits text\r\n"


@pytest.fixture
def server(mailboat, peer):
    it = mailboat(relay=away_to(peer.port), extra=RETRY)
    for user in (ADA, "bob@example.org", "carl@example.org"):
        it.add_user(user, PASSWORD)
    return it


def submit(server, recipients, text=LETTER, sender=ADA, mail=(), rcpt=()):
    """Submits a message; returns its queue id."""
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
    assert report.fates() == {"bob@there.net": ("failed", "5.1.1"), "carl@there.net": ("failed", "5.7.1")}  # dora got it
    assert report.whole["From"].startswith("Mail Delivery System <") and report.whole["To"] == ADA and report.whole["Auto-Submitted"] == "auto-replied"
    assert b"Return-Path: <>" in [m for m in server.mail(ADA) if b"multipart/report" in m][0]
    assert report.message["Reporting-MTA"] == "dns; mx.example.org" and report.message["Original-Envelope-Id"] == "QQ+1"
    assert report.message["X-Mailboat-Queue-Id"] == queue_id
    bob = report.recipients[0]
    assert bob["Original-Recipient"] == "rfc822; first+one@x.example" and bob["Remote-MTA"] == "dns; localhost"
    assert bob["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert "<bob@there.net>: could not be delivered:" in report.words and "550 5.1.1 no such user" in report.words and "Check the address for typing errors" in report.words


def test_a_full_mailbox_comes_back_at_once_in_the_servers_words(server, peer):
    peer.says = {"bob@there.net": "552 5.2.2 mailbox full", "carl@there.net": "552 4.7.1 odd", "eve@there.net": "550 no code here"}
    submit(server, ["dora@there.net", "bob@there.net", "carl@there.net", "eve@there.net"])
    report, = reports(server)
    assert report.fates() == {"bob@there.net": ("failed", "5.2.2"), "carl@there.net": ("failed", "5.7.1"), "eve@there.net": ("failed", "5.0.0")}
    assert [r["Diagnostic-Code"] for r in report.recipients] == ["smtp; 552 5.2.2 mailbox full", "smtp; 552 4.7.1 odd", "smtp; 550 no code here"]
    assert "552 5.2.2 mailbox full" in report.words and "550 no code here" in report.words and "too many" not in report.words
    line, = server.wait_log("bounced", "to=bob@there.net")
    assert " code=552 status=5.2.2 reply=\"mailbox full\"" in line
    assert " code=550 reply=\"no code here\"" in server.wait_log("bounced", "to=eve@there.net")[0]
    assert peer.got == ["dora@there.net"]


@pytest.mark.parametrize("full", ["452 4.5.3 too many recipients", "452 slow down", "552 Too many recipients", "552 5.5.3 enough"])
@pytest.mark.parametrize("knows", [[], ["PIPELINING", "CHUNKING"]])
def test_too_many_recipients_have_transactions_of_their_own(server, peer, full, knows):
    peer.takes, peer.full, peer.knows = 2, full, knows
    everybody = [f"user{i}@there.net" for i in range(7)]
    text = LETTER + ("z" * 70 + "\r\n") * 3000  # several blocks of content, and chunks if the server supports them
    submit(server, everybody, text=text)
    until(lambda: server.queue_count() == 0)
    assert peer.got == everybody and len(peer.letters) == 4
    assert len({content for _, content in peer.letters}) == 1 and peer.letters[0][1].endswith(text.encode())
    assert not server.lines("deferred", "user") and server.mail(ADA) == []


def test_too_many_and_over_quota_for_now_wait(server, peer):
    peer.says = {"bob@there.net": "452 4.2.2 over quota", "carl@there.net": "452 4.3.1 disk full"}
    submit(server, ["dora@there.net", "bob@there.net", "carl@there.net"])
    assert " code=452 status=4.2.2 reply=\"over quota\"" in server.wait_log("deferred", "to=bob@there.net")[0]
    assert " code=452 status=4.3.1 reply=\"disk full\"" in server.wait_log("deferred", "to=carl@there.net")[0]
    assert len(peer.letters) == 1


def test_what_no_server_said_is_ours(mailboat):
    server = mailboat(relay=away_to(free_port()), extra=RETRY)
    server.add_user(ADA, PASSWORD)
    submit(server, ["bob@there.net"])
    late, over = reports(server, 2)
    for report, action in ((late, "delayed"), (over, "failed")):
        (fate, status), = report.fates().values()
        assert fate == action and status.startswith("4."), report.fates()
        assert report.recipients[0]["Diagnostic-Code"].startswith("X-Mailboat; ") and report.recipients[0]["Remote-MTA"] is None


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
    assert late.fates() == {"bob@there.net": ("delayed", "4.2.0")} and late.recipients[0]["Will-Retry-Until"] and re.search(r"delivery attempts continue until \w{3}, .* \+0000\. If they do not succeed, another report will tell you\.", " ".join(late.words.split()))
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


def ask_on_25(server, recipients, sender):
    with smtp(server, 25, starttls=False) as client:
        client.ehlo()
        offered = client.has_extn("dsn")
        assert client.mail(sender)[0] == 250
        for recipient in recipients:
            assert client.rcpt(recipient, ["NOTIFY=SUCCESS,FAILURE"])[0] == 250
        assert client.data(LETTER)[0] == 250
    return offered


def ways_in(server):
    """A mailbox, an alias of several, a small and a large alias to remote addresses, and a forwarding."""
    server.cli("alias", "add", "team@example.org", "bob@example.org", "carl@example.org")
    server.cli("alias", "add", "away@example.org", "dora@there.net")
    server.cli("alias", "add", "large@example.org", "--from", "-", text_input="\n".join(f"m{i}@there.net" for i in range(150)))
    server.cli("user", "forward", "carl@example.org", "carl@there.net")
    return ["bob@example.org", "team@example.org", "away@example.org", "large@example.org", "carl@example.org"]


def test_a_stranger_s_sender_is_not_told_of_success(server, peer):
    peer.knows, peer.says = ["DSN"], {"m7@there.net": "550 5.1.1 no"}
    assert not ask_on_25(server, ways_in(server), ADA)
    server.wait_log("bounced", "to=m7@there.net")
    until(lambda: len(peer.got) == 151 and server.queue_count() == 0)
    report, = reports(server)  # a failure is still one
    assert report.fates() == {"m7@there.net": ("failed", "5.1.1")}
    assert not [r for said, _ in peer.letters for r in said if "SUCCESS" in r]


def test_the_configuration_may_have_all_told(mailboat, peer):
    server = mailboat(relay=away_to(peer.port), extra="reports: {success: all}\n")
    for user in (ADA, "bob@example.org"):
        server.add_user(user, PASSWORD)
    assert ask_on_25(server, ["bob@example.org"], ADA)
    report, = reports(server)
    assert report.fates() == {"bob@example.org": ("delivered", "2.0.0")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what belongs to another user")
def test_paths_and_users_of_this_machine_are_not_the_senders_business(server, peer):
    """The queue and the log have the cause why a mailbox cannot be written; the sender's report has its meaning."""
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("dora@there.net", ["bob@example.org"], "Subject: first\r\n\r\nhi\r\n")
    server.arrivals("bob@example.org", "first")
    home = server.data / "mail" / "example.org" / "bob"
    os.chown(home, 31337, 31337)
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("dora@there.net", ["bob@example.org"], "Subject: second\r\n\r\nhi\r\n")
    server.wait_log("deferred", f"{home} belongs to user 31337")
    until(lambda: len(peer.letters) >= 2)
    for fate, (_, octets) in zip(("delayed", "failed"), peer.letters):
        report = Report(octets)
        assert report.fates()["bob@example.org"][0] == fate
        assert "the mailbox is temporarily not available" in " ".join(report.words.split())
        assert str(server.data).encode() not in octets and b"31337" not in octets
