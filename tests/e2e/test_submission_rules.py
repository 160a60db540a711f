# SPDX-License-Identifier: Apache-2.0
"""Sender addresses that an account may use, fields that a submitted message gets and loses, and the hourly
limit."""
import email
import email.policy
import email.utils
import smtplib

import pytest

from mailboat import smtp

USER, PASSWORD = "ada@example.org", "secret-of-ada"


@pytest.fixture(scope="module")
def server(shared_server):
    shared_server.cli("alias", "add", "sales@example.org", USER)
    shared_server.add_user("boss@example.org", "secret-of-boss")
    return shared_server


def submit(server, text, port=587, sender=USER):
    """Returns the delivered message, parsed: the one with the queue id of the server's reply."""
    with smtp(server, port, user=USER, password=PASSWORD) as client:
        client.ehlo_or_helo_if_needed()
        assert client.mail(sender)[0] == client.rcpt(USER)[0] == 250
        code, said = client.data(text.replace("\n", "\r\n"))
        assert code == 250
    queue_id = said.split()[-1].decode()
    server.wait_log("delivered", f"to={USER}", f"id={queue_id}")
    ours = [m for m in server.mail(USER) if f" id {queue_id}".encode() in m]
    assert len(ours) == 1
    return email.message_from_bytes(ours[0], policy=email.policy.default)


@pytest.mark.parametrize("port", [587, 465, 2525])
def test_what_is_missing_is_added(server, port):
    got = submit(server, "Subject: bare\n\nhi\n", port)
    assert got["From"] == USER and got["Message-ID"].endswith("@mx.example.org>")
    assert abs(email.utils.parsedate_to_datetime(got["Date"]).timestamp() - email.utils.parsedate_to_datetime(got["Received"].split(";")[-1]).timestamp()) < 60


def test_blind_copies_do_not_travel(server):
    got = submit(server, f"From: {USER}\nBcc: hidden@example.net,\n also@example.net\nSubject: x\nX-Bcc: stays\n\nhi\n")
    assert got["Bcc"] is None and b"hidden" not in got.as_bytes() and b"also@" not in got.as_bytes() and got["X-Bcc"] == "stays"


@pytest.mark.parametrize("author", [f"Ada <{USER}>", USER, "sales@example.org", "ada+shop@example.org", f'"Ada, \\"Countess\\"" <{USER}> (at home)',
                                    f"=?utf-8?q?Ad=C3=A4?= <{USER}>"])
def test_the_accounts_own_addresses(server, author):
    got = submit(server, f"From: {author}\nSubject: x\n\nhi\n")
    assert len(got["From"].addresses) == 1  # another parser agrees
    assert got["From"].addresses[0].addr_spec in author


def test_a_space_before_a_colon_goes(server):
    got = submit(server, f"From : {USER}\nSubject\t: x\nBcc : hidden@example.net\n\nhi\n")
    assert got["From"] == USER and got["Subject"] == "x" and b"hidden" not in got.as_bytes() and b" :" not in got.as_bytes()


@pytest.mark.parametrize("header, code", [
    ("From: boss@example.org", "5.7.1"), (f"From: {USER}, boss@example.org\nSender: {USER}", "5.7.1"), (f"From: {USER}\nSender: boss@example.org", "5.7.1"),
    (f"From: {USER}\nFrom: boss@example.org", "5.6.0"), (f"From: {USER} <boss@example.org>", "5.7.1"), (f"From: boss@example.org, Doe, Jane <{USER}>", "5.6.0"), (f"From: {USER} (a (b) , boss@example.org )", "5.6.0"), (f"From: <boss@example.org> <{USER}>", "5.6.0"),
    (f"From: everybody: boss@example.org;, {USER}", "5.7.1"), (f"From: boss@example.org (<{USER}>)x", "5.6.0"),
    ("From: =?utf-8?q?boss=40example.org?=", "5.6.0"), (f"From: \"x <{USER}>", "5.6.0"),
    (f"From: {USER}\nX: " + "y" * 300000, "5.6.0"), (f"From: {USER}" + "\nX: y" * 2001, "5.6.0")])
def test_forged_and_broken_headers_are_refused(server, header, code):
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail(USER, [USER], (header + "\nSubject: x\n\nhi\n").replace("\n", "\r\n"))
        assert caught.value.smtp_code == 550 and caught.value.smtp_error.startswith(code.encode())
        client.sendmail(USER, [USER], f"From: {USER}\r\n\r\nthe session goes on\r\n")


def test_on_25_nothing_is_judged(server):
    since = len(server.log)
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("x@elsewhere.net", [USER], "From: a@b.example, c@d.example\r\nBcc: x@y.example\r\n\r\nas it came\r\n")
    accepted = server.wait_log("accepted", f"port={server.ports[25]} ", since=since)[0]
    server.wait_log("delivered", accepted.split(" id=")[1].split(" ")[0], since=since)
    assert any(b"Bcc: x@y.example\r\n\r\nas it came" in m.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r") for m in server.mail(USER))


def test_more_by_configuration(mailboat):
    server = mailboat(extra="submission: {send_as: [ada@example.org *@shop.example, bob@example.org ada@example.org], fix_bare_newlines: true}\n")
    server.add_user(USER, PASSWORD)
    server.add_user("bob@example.org", "secret-of-bob")
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail("orders@shop.example", [USER], "From: Shop <news@shop.example>\r\n\r\nhi\r\n")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("bob@example.org", [USER], "Subject: x\r\n\r\nhi\r\n")
        client.ehlo()
        client.mail(USER)
        client.rcpt(USER)
        assert client.docmd("DATA")[0] == 354
        client.send(b"Subject: bare\n\nlines\n\r\n.\r\n")
        assert client.getreply()[0] == 250
    with smtp(server, 465, user="bob@example.org", password="secret-of-bob") as client:
        client.sendmail(USER, [USER], "Subject: for ada\r\n\r\nhi\r\n")
    server.stop()
    server.extra = "submission: {send_as: [nonsense]}\n"
    server.write_config()
    done = server.cli("config", "check", check=False)
    assert done.returncode == 78 and "nonsense" in done.stderr


def test_limits_an_hour(mailboat):
    server = mailboat(extra="submission: {messages_per_hour: 3, recipients_per_hour: 100}\nprocesses: {smtpd: 2}\n")
    server.add_user(USER, PASSWORD)
    server.add_user("bob@example.org", "secret-of-bob")
    for _ in range(3):
        with smtp(server, 587, user=USER, password=PASSWORD) as client:  # any process may answer
            client.sendmail(USER, [USER], "Subject: x\r\n\r\nhi\r\n")
    for _ in range(4):
        with smtp(server, 465, user=USER, password=PASSWORD) as client:
            code, text = client.mail(USER)
            assert code == 450 and text.startswith(b"4.7.1") and b" min" in text
    assert len(server.lines("account_rate_limited", f"account={USER}")) == 1  # logged once, for the operator
    with smtp(server, 587, user="bob@example.org", password="secret-of-bob") as client:
        client.sendmail("bob@example.org", ["bob@example.org"], "Subject: x\r\n\r\nothers go on\r\n")


def test_limits_of_recipients(mailboat):
    server = mailboat(extra="submission: {recipients_per_hour: 5}\n")
    server.add_user(USER, PASSWORD)
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail(USER, [f"b{n}@elsewhere.invalid" for n in range(6)], "Subject: x\r\n\r\nhi\r\n")
        client.sendmail(USER, [f"b{n}@elsewhere.invalid" for n in range(5)], "Subject: x\r\n\r\nhi\r\n")
        assert client.mail(USER)[0] == 450
