# SPDX-License-Identifier: Apache-2.0
"""Messages and commands that other servers accept: Mailboat accepts them too, and fixes what the next reader
needs."""
import email
import email.policy
import re
import smtplib
import ssl

import pytest

from mailboat import PATIENCE, Mailboat, run, smtp, until
from plain_peer import Peer, away_to

ADA, BOB, PASSWORD = "ada@example.org", "bob@there.net", "secret-of-ada"


@pytest.fixture
def server(mailboat, peer):
    it = mailboat(relay=away_to(peer.port))
    it.add_user(ADA, PASSWORD)
    return it


@pytest.fixture(scope="module")
def lasting_peer():
    it = Peer()
    yield it
    it.close()


@pytest.fixture(scope="module")
def lasting_server(tmp_path_factory, certificates, lasting_peer):
    """A server for the tests that only send outgoing mail: each waits for its own message."""
    server = Mailboat(tmp_path_factory.mktemp("lasting"), certificates, relay=away_to(lasting_peer.port)).start()
    server.add_user(ADA, PASSWORD)
    yield server
    server.stop()


@pytest.fixture
def away(lasting_peer):
    """The server that they send to, without messages."""
    lasting_peer.letters.clear()
    return lasting_peer


def received(peer, count=1):
    until(lambda: len(peer.letters) >= count)
    assert len(peer.letters) == count
    return peer.letters[-1]


# ---- addresses ----

@pytest.mark.parametrize("address", ["a..b@there.net", ".a@there.net", "a.@there.net", "a...@there.net", f"{'v' * 256}@there.net", "bounce+ada=example.org@there.net"])
def test_addresses_that_the_standard_forbids_are_passed_on(lasting_server, away, address):
    with smtp(lasting_server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [address], f"From: {ADA}\r\nSubject: x\r\n\r\nhi\r\n")
    assert f"RCPT TO:<{address}>" in received(away)[0]


@pytest.mark.parametrize("sender", ["SRS1=" + "h" * 200 + "==example.net=bob@example.net", f"{'v' * 256}@{'d' * 63}.{'e' * 63}.net", "a..b.@docomo.example"])
def test_long_and_dotted_senders_arrive_with_their_sender(server, peer, sender):
    server.cli("user", "forward", ADA, BOB)
    with smtp(server, 25, starttls=False) as client:
        client.sendmail(sender, [ADA], "Subject: x\r\n\r\nhi\r\n")
    said = received(peer)[0][0].split(" SIZE")[0]
    if len(sender) > 300:  # too long for another form
        assert said == f"MAIL FROM:<{sender}>"
    else:
        local, domain = sender.rsplit("@", 1)
        assert re.fullmatch(rf"MAIL FROM:<SRS0=\w{{8}}=\w\w={re.escape(domain)}={re.escape(local)}@example\.org>", said)


# ---- authors ----

LEGAL = [f"Ada (Countess (of Lovelace)) <{ADA}>", f"(the) Ada <(at) ada (home) @ example.org (x)> (y)", f"Ada B. Lovelace\r\n (Countess)\r\n <{ADA}>", f"team: {ADA};",
         f'"Lovelace, Ada" (the first) <{ADA}>', f"=?utf-8?q?L=C3=B6we?= (x) <{ADA}>"]
UNQUOTED = {f"Lovelace, Ada <{ADA}>": "Lovelace, Ada", f"visitor@there.net <{ADA}>": "visitor@there.net", f"Ada @ Shop, Ltd. [new]: orders; <{ADA}> (x)": "Ada @ Shop, Ltd. [new]: orders;",
            f'"Ada" Lovelace, "B \\"C\\"" <{ADA}>': 'Ada Lovelace, B "C"', f"Lovelace,\r\n Ada <{ADA}>": "Lovelace, Ada", f"Ada :( <{ADA}>": "Ada :(",
            f"=?utf-8?Q?L=C3=B6we,_Ada?= & Co, Ltd <{ADA}>": "Löwe, Ada & Co, Ltd"}


@pytest.mark.parametrize("author", LEGAL)
def test_comments_in_from_are_accepted_and_stay(lasting_server, away, author):
    with smtp(lasting_server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [BOB], f"From: {author}\r\nSubject: x\r\n\r\nhi\r\n")
    assert f"\r\nFrom: {author}\r\n".encode() in received(away)[1]


@pytest.mark.parametrize("author", UNQUOTED)
def test_names_without_their_quotes_get_them(lasting_server, away, author):
    with smtp(lasting_server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [BOB], f"From: {author}\r\nSubject: x\r\n\r\nhi\r\n")
    (address,) = email.message_from_bytes(received(away)[1], policy=email.policy.default)["From"].addresses
    assert (address.addr_spec, address.display_name) == (ADA, UNQUOTED[author])


@pytest.mark.parametrize("way", ["submission", "sendmail"])
def test_several_authors_get_the_sender_that_the_standard_requires(lasting_server, away, way):
    text = f"From: Ada <{ADA}>, Augusta <{ADA.upper()}>\nSubject: x\n\nhi\n"
    if way == "sendmail":
        run("sendmail", "-C", lasting_server.config, "-i", "-f", ADA, BOB, text_input=text)
    else:
        with smtp(lasting_server, 587, user=ADA, password=PASSWORD) as client:
            client.sendmail(ADA, [BOB], text.replace("\n", "\r\n"))
    got = email.message_from_bytes(received(away)[1], policy=email.policy.default)
    assert got["Sender"].address.addr_spec == ADA and len(got["From"].addresses) == 2


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


# ---- commands and headers ----

@pytest.mark.parametrize("name, cleaned", [("[fe80::1%eth0]", "[fe80::1%eth0]"), ("fe80::1%wlan0", "fe80::1%wlan0"), ("Ada's iPhone", "Ada?s?iPhone"), ("my_pc", "my_pc"),
                                           ("(none)", "?none?"), ("büro", "büro"), ("", "unknown"), ("x" * 300, "x" * 255)])
def test_ehlo_with_names_that_no_host_has(lasting_server, away, name, cleaned):
    with smtp(lasting_server, 465) as client:
        client.login(ADA, PASSWORD)
        client.send(f"EHLO {name}".strip().encode() + b"\r\n")
        assert client.getreply()[0] == 250
        client.mail(ADA), client.rcpt(BOB), client.data(f"From: {ADA}\r\nSubject: x\r\n\r\nhi\r\n")
    assert received(away)[1].startswith(f"Received: from {cleaned} ([127.0.0.1])\r\n".encode())


@pytest.mark.parametrize("port", [25, 587])
@pytest.mark.parametrize("mail, rcpt", [(f"mail from:{ADA}", f"rcpt to:{ADA}"), (f"MAIL FROM: {ADA} SIZE=100", f"RCPT TO: {ADA}"), (f"MAIL FROM:< {ADA} >", f"RCPT TO: < {ADA}. >")])
def test_paths_without_brackets(server, port, mail, rcpt):
    with smtp(server, port, starttls=port != 25, **({"user": ADA, "password": PASSWORD} if port != 25 else {})) as client:
        client.ehlo_or_helo_if_needed()
        assert client.docmd(mail)[0] == client.docmd(rcpt)[0] == 250
        assert client.data(f"From: {ADA}\r\nSubject: brackets\r\n\r\nhi\r\n")[0] == 250
    assert b"Return-Path: <" + ADA.encode() in server.arrivals(ADA, "brackets")[0]


@pytest.mark.parametrize("text, header, body", [
    ("Dear Bob,\n\nsee: below\n", {}, "Dear Bob,\r\n\r\nsee: below\r\n"), ("  indented\n", {}, "  indented\r\n"), ("\nSubject: y\n", {}, "Subject: y\r\n"),
    ("Subject: x\ntext behind\nFrom: boss@example.org\n\nmore\n", {"Subject": "x"}, "text behind\r\nFrom: boss@example.org\r\n\r\nmore\r\n"),
    ("x" * 300000 + "\n", {}, None), ("Grüße: an Bob\n", {}, "Grüße: an Bob\r\n"), ("From ada Mon Nov 23 12:05:17 2026\nSubject: x\n\nhi\n", {"Subject": "x"}, "hi\r\n")], ids=range(7))
def test_messages_without_an_empty_line_get_it(lasting_server, away, text, header, body):
    with smtp(lasting_server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [BOB], text.replace("\n", "\r\n").encode())
    content = received(away)[1]
    got = email.message_from_bytes(content)
    assert got["From"] == f"<{ADA}>" and got["Date"] and got["Message-ID"] and {name: got[name] for name in header} == header and got["Subject"] == header.get("Subject")
    assert body is None or content.partition(b"\r\n\r\n")[2] == body.encode()


@pytest.mark.parametrize("header, code", [(f"From: Ada <{ADA}>", 250), ("From: boss@example.org", 550), ("Subject: no author", 550), (f"From: {ADA}\r\nSender: boss@example.org", 550)])
def test_read_receipts_have_the_null_sender(lasting_server, away, header, code):
    with smtp(lasting_server, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo_or_helo_if_needed()
        assert client.mail("")[0] == client.rcpt(BOB)[0] == 250
        receipt = f"{header}\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\n\r\nread\r\n--b--\r\n"
        assert client.data(receipt)[0] == code
        if code != 250:
            return
    assert received(away)[0][0].startswith("MAIL FROM:<>") and b"From: Ada" in received(away)[1]


# ---- deliveries ----

@pytest.mark.parametrize("original, said", [("info@example.org", "info@example.org"), ("shop-1@example.org", "shop-1@example.org"), ("ada+tag@example.org", "ada+tag@example.org"), (ADA, None)])
def test_a_mailbox_is_told_for_whom_a_message_was(server, original, said):
    server.cli("alias", "add", "info@example.org", ADA)
    server.cli("alias", "add", "@example.org", ADA)
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("x@there.net", [original], "Subject: whose\r\nX-Original-To: forged@example.org\r\n\r\nhi\r\n")
    got = email.message_from_bytes(server.arrivals(ADA, "whose")[0])
    assert got.get_all("X-Original-To")[0] == (said or "forged@example.org") and got["Delivered-To"] == ADA and got.keys()[:3] == (
        ["Return-Path", "X-Original-To", "Delivered-To"] if said else ["Return-Path", "Delivered-To", "Received"])


# ---- the log of clients that cannot be served ----

@pytest.mark.parametrize("version, said", [(ssl.TLSVersion.TLSv1, "TLS 1.0"), (ssl.TLSVersion.TLSv1_1, "TLS 1.1")])
@pytest.mark.parametrize("port", [25, 465, 587])
def test_an_old_tls_version_is_named_with_a_hint(lasting_server, port, version, said):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError):
        if port == 465:
            smtplib.SMTP_SSL("localhost", lasting_server.ports[port], context=context, timeout=PATIENCE)
        else:
            smtplib.SMTP("localhost", lasting_server.ports[port], timeout=PATIENCE).starttls(context=context)
    lasting_server.wait_log("tls_failed", f'reason="the client offers {said} at most; TLS 1.2 or 1.3 is required"', "hint=", f"port={lasting_server.ports[port]}")


@pytest.mark.parametrize("port, said", [(587, "submission.fix_bare_newlines"), (25, "lines must end in CRLF")])
def test_bare_newlines_name_the_key_that_mends_them(server, port, said):
    client = smtp(server, port, starttls=port != 25, **({"user": ADA, "password": PASSWORD} if port != 25 else {}))
    client.ehlo_or_helo_if_needed()
    client.mail(ADA), client.rcpt(ADA), client.docmd("DATA")
    client.send(f"From: {ADA}\r\n\r\na\nb\r\n.\r\n".encode())
    assert client.getreply()[0] == 550
    client.close()  # the server closes it, too
    (line,) = server.wait_log("reply_rejected", "bare CR or LF; lines", f"port={server.ports[port]}")
    assert said in line and (port != 25 or "submission." not in line)


def test_names_of_users_stay_short(server):
    done = server.cli("user", "add", f"{'u' * 65}@example.org", "--password-stdin", text_input="a long secret\n", check=False)
    assert done.returncode == 65 and "the limit for a user is 64" in done.stderr
    server.add_user(f"{'u' * 64}@example.org", "a long secret")
