# SPDX-License-Identifier: Apache-2.0
"""Messages whose next server supports less than the one that accepted them: no 8BITMIME, no BINARYMIME, no
SMTPUTF8."""
import base64
import email
import email.policy
from email.message import EmailMessage

import pytest

from mailboat import smtp, until
from plain_peer import away_to

ADA, BOB, PASSWORD = "ada@example.org", "bob@there.net", "secret-of-ada"
EIGHT = email.policy.SMTP.clone(cte_type="8bit")


@pytest.fixture
def server(mailboat, peer):
    it = mailboat(relay=away_to(peer.port))
    it.add_user(ADA, PASSWORD)
    return it


def submit(server, sender, recipients, content, parameters=()):
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo()
        code, said = client.mail(sender, parameters)
        assert code == 250, said
        for recipient in recipients:
            code, said = client.docmd(f"RCPT TO:<{recipient}>")
            assert code == 250, said
        if "BODY=BINARYMIME" in parameters:
            client.send(f"BDAT {len(content)} LAST\r\n".encode() + content)
            assert client.getreply()[0] == 250
        else:
            assert client.data(content)[0] == 250


def received(peer):
    until(lambda: peer.letters)
    (said, content), = peer.letters
    return said, content


def parts_of(content):
    """Returns the visible content: type, name and decoded octets of each leaf."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    return [(p.get_content_type(), p.get_filename(), p.get_payload(decode=True)) for p in message.walk() if not p.is_multipart()]


def letter(text="Grüße aus Köln =  \n--b\n.dot\n" + "ü" * 300 + "\n"):
    message = EmailMessage(policy=EIGHT)
    message["From"], message["To"], message["Subject"], message["Message-ID"], message["Date"] = ADA, BOB, "hi", "<1@example.org>", "Mon, 23 Nov 2026 12:00:00 +0000"
    message.set_content(text, cte="8bit", charset="utf-8")
    return message


def mixed():
    message = letter()
    message.add_alternative("<p>Grüße</p>\n", subtype="html", cte="8bit")
    message.add_attachment(bytes(range(256)) * 40, maintype="image", subtype="png", filename="a.png")
    message.add_attachment("naïve,1\n", subtype="csv", filename="b.csv", cte="8bit")
    return message


def forwarded():
    message = letter("see below, ä\n")
    message.add_attachment(mixed(), cte="8bit")
    return message


@pytest.mark.parametrize("make", [letter, mixed, forwarded])
def test_eight_bits_go_in_seven_where_the_server_lacks_8bitmime(server, peer, make):
    content = make().as_bytes(policy=EIGHT)
    assert not content.isascii()
    submit(server, ADA, [BOB], content, ["BODY=8BITMIME"])
    said, got = received(peer)
    assert "BODY" not in said[0] and got.isascii() and b"8bit" not in got
    assert max(map(len, got.split(b"\r\n"))) <= 998
    assert parts_of(got) == parts_of(content)


@pytest.mark.parametrize("make", [letter, mixed, forwarded])
def test_they_go_as_they_are_where_it_knows_8bitmime(server, peer, make):
    peer.knows = ["8BITMIME"]
    content = make().as_bytes(policy=EIGHT)
    submit(server, ADA, [BOB], content, ["BODY=8BITMIME"])
    said, got = received(peer)
    assert said[0].endswith(" BODY=8BITMIME") and got.endswith(content)


def test_what_is_signed_is_not_touched(server, peer):
    content = letter().as_bytes(policy=EIGHT)
    signed = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; b=xyz\r\n" + content
    submit(server, ADA, [BOB], signed, ["BODY=8BITMIME"])
    assert received(peer)[1].endswith(signed)


BINARY = (b"From: ada@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x\r\n"
          b"Content-Transfer-Encoding: binary\r\n\r\n\0\r\n.\r\n\n\r\xff\r\n\r\n--b--\r\n")


def test_binary_content_is_encoded_where_the_server_lacks_binarymime(server, peer):
    peer.knows = ["8BITMIME", "CHUNKING"]
    submit(server, ADA, [BOB], BINARY, ["BODY=BINARYMIME"])
    said, got = received(peer)
    assert "BODY" not in said[0] and got.isascii() and b"\0" not in got
    assert parts_of(got)[0][2] == b"\0\r\n.\r\n\n\r\xff\r\n"


def test_binary_content_goes_in_chunks_where_it_knows_them(server, peer):
    peer.knows = ["8BITMIME", "CHUNKING", "BINARYMIME"]
    submit(server, ADA, [BOB], BINARY, ["BODY=BINARYMIME"])
    said, got = received(peer)
    assert said[0].endswith(" BODY=BINARYMIME") and got.endswith(BINARY.split(b"MIME-Version")[1])


UNSAID = b"From: ada@example.org\r\nSubject: no MIME\r\n\r\na\0b\r\n"


@pytest.mark.parametrize("knows", [[], ["8BITMIME", "CHUNKING"], ["8BITMIME", "CHUNKING", "BINARYMIME"]])
def test_nul_in_a_binary_message_that_says_nothing_of_mime(server, peer, knows):
    peer.knows = knows
    submit(server, ADA, [BOB], UNSAID, ["BODY=BINARYMIME"])
    got = received(peer)[1]
    message = email.message_from_bytes(got)
    assert (b"\0" in got) == ("BINARYMIME" in knows)
    assert message.get_payload(decode=True) == b"a\0b\r\n" and (message["MIME-Version"] == "1.0") == ("BINARYMIME" not in knows)


def test_a_mailbox_keeps_nul(server, peer):
    submit(server, ADA, [ADA], UNSAID, ["BODY=BINARYMIME"])
    until(lambda: server.mail(ADA))
    assert server.mail(ADA)[0].endswith(b"\n\na\0b\n")


@pytest.mark.parametrize("port", [25, 587])
@pytest.mark.parametrize("header, body", [("Subject: x", "a\0b"), ("Subject: \0", "ab"), ("Subject: x", "\0"), ("\0Subject: x", "")])
def test_nul_is_refused_by_data_and_by_chunks(server, peer, port, header, body):
    content = f"From: {ADA}\r\n{header}\r\n\r\n{body}\r\n".encode()
    with smtp(server, port, user=ADA, password=PASSWORD) if port == 587 else smtp(server, port, starttls=False) as client:
        client.ehlo()
        for by_chunks in (False, True):
            assert client.mail(ADA)[0] == 250 and client.rcpt(ADA)[0] == 250
            if by_chunks:
                client.send(b"BDAT %d LAST\r\n" % len(content) + content)
                code, said = client.getreply()
            else:
                code, said = client.data(content)
            assert code == 550 and said.startswith(b"5.6.0 ") and b"NUL" in said and b"BINARYMIME" in said
        assert client.noop()[0] == 250
    assert server.mail(ADA) == []


PLAIN = b"From: ada@example.org\r\nSubject: plain\r\n\r\nhi\r\n"


def test_of_a_binary_message_no_nul_and_no_bare_newline_leaves_wherever_it_stands(server, peer):
    """Between the parts, in their headers, in parts that are declared as encoded."""
    content = (f"From: {ADA}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\npre\0\n.\nMAIL FROM:<eve@far.example>\n"
               "\r\n--q\r\nX: \0\r\n\r\na\0\r\n--q\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ\0\n.\r=\r\n--q--\r\nepi\0\n.\r\n").encode()
    submit(server, ADA, [BOB], content, ["BODY=BINARYMIME"])
    _, got = received(peer)
    assert b"\0" not in got and got.replace(b"\r\n", b"").isascii() and not set(b"\r\n") & set(got.replace(b"\r\n", b""))
    assert [p[2] for p in parts_of(got)] == [b"a\0", b"a"] and b"\r\n.\r\nMAIL" in got


def test_smtputf8_said_out_of_caution_is_no_hindrance(server, peer):
    submit(server, ADA, [BOB], PLAIN, ["SMTPUTF8"])
    assert "SMTPUTF8" not in received(peer)[0][0]


def test_an_international_domain_goes_in_ascii(server, peer):
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo()
        assert client.mail(ADA, ["SMTPUTF8"])[0] == 250
        client.command_encoding = "utf-8"
        assert client.docmd("RCPT TO:<bob@bücher.example>")[0] == 250
        assert client.data(PLAIN)[0] == 250
    assert received(peer)[0][1].startswith("RCPT TO:<bob@xn--bcher-kva.example>")


INTERNATIONAL = pytest.mark.parametrize("to, header", [("bob@there.net", "Subject: Grüße"), ("jürgen@there.net", "Subject: x")])


def send_international(server, to, header):
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo()
        assert client.mail(ADA, ["SMTPUTF8"])[0] == 250
        client.command_encoding = "utf-8"
        assert client.docmd(f"RCPT TO:<{to}>")[0] == 250
        assert client.data(f"From: {ADA}\r\n{header}\r\n\r\nhi\r\n".encode())[0] == 250


@INTERNATIONAL
def test_who_needs_smtputf8_is_refused_without_it(server, peer, to, header):
    send_international(server, to, header)
    line = server.wait_log("bounced", to)[0]
    assert "status=5.6.7" in line and "SMTPUTF8" in line
    until(lambda: server.mail(ADA))
    report = email.message_from_bytes(server.mail(ADA)[0], policy=email.policy.default)
    assert [p.get_content_type() for p in report.iter_parts()][1:] == ["message/global-delivery-status", "message/global-headers"]
    assert peer.letters == []


@pytest.mark.parametrize("by", ["hand", "alias"])
def test_an_international_address_keeps_nobody_else_from_the_message(server, peer, by):
    to, written = ["jürgen@there.net", BOB, "carl@there.net"], None
    if by == "alias":
        server.cli("alias", "add", "all@example.org", *to)
        written = ["all@example.org"]
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.ehlo()
        assert client.mail(ADA, ["SMTPUTF8"])[0] == 250
        client.command_encoding = "utf-8"
        assert [client.docmd(f"RCPT TO:<{address}>")[0] for address in written or to] == [250] * len(written or to)
        assert client.data(PLAIN)[0] == 250
    assert received(peer)[0][1:] == [f"RCPT TO:<{BOB}>", "RCPT TO:<carl@there.net>"]
    assert "status=5.6.7" in server.wait_log("bounced", "jürgen@there.net")[0]
    until(lambda: server.mail(ADA))
    assert len(server.mail(ADA)) == 1 and len(server.lines("bounced")) == 1


@INTERNATIONAL
def test_who_needs_smtputf8_passes_with_it(server, peer, to, header):
    peer.knows = ["8BITMIME", "SMTPUTF8"]
    send_international(server, to, header)
    said, _ = received(peer)
    assert said[0].endswith(" SMTPUTF8") and said[1].startswith(f"RCPT TO:<{to}>")


@pytest.mark.parametrize("knows", [[], ["8BITMIME"], ["8BITMIME", "CHUNKING"]])
def test_a_large_message_comes_whole_to_every_kind_of_server(server, peer, knows):
    """Larger than the connection's buffers, with BDAT and without."""
    peer.knows = knows
    text = "".join(f"{number:07} ü over the hills and far away\n" for number in range(80000))
    content = letter(text).as_bytes(policy=EIGHT)
    submit(server, ADA, [BOB], content, ["BODY=8BITMIME"])
    _, got = received(peer)
    assert parts_of(got) == parts_of(content) and (got.isascii() if not knows else got.endswith(content))


# ---- lines longer than SMTP allows ----

LONG, MIME = "word &amp; w\u00f6rd= " * 400, "MIME-Version: 1.0\n"
LONG_BODIES = {
    "html": MIME + "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<p>" + LONG + "</p>\n.\n" + LONG + "\n",
    "plain": "\n" + "x" * 5000 + "\n.short\n",
    "nothing said": "Content-Type: text/plain\n\n" + "a b\t" * 999 + "\n",
    "base64": MIME + "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(bytes(range(256)) * 20).decode() + "\n",
    "quoted": MIME + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + "-=C3=B6-" * 800 + "=20\nend=\n\n",
    "json": MIME + "Content-Type: application/json\n\n{" + "1," * 2000 + "}\n",
    "mixed": MIME + 'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nshort\n--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n' + LONG
             + "\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\n" + "y" * 3000 + "\n--c\nContent-Transfer-Encoding: base64\n\n" + "QUJD" * 1000 + "\n--c--\n--b--\n",
}


@pytest.mark.parametrize("knows", [[], ["8BITMIME"], ["8BITMIME", "CHUNKING", "BINARYMIME", "PIPELINING"]], ids=len)
@pytest.mark.parametrize("kind", LONG_BODIES)
def test_long_lines_leave_as_short_ones_and_read_the_same(server, peer, kind, knows):
    peer.knows = knows
    sent = (f"From: {ADA}\nSubject: s" + " word" * 500 + "\nReferences: " + ",".join(f"<{i}@example.org>" for i in range(200)) + "\n" + LONG_BODIES[kind]).replace("\n", "\r\n").encode()
    submit(server, ADA, [BOB], sent)
    _, came = received(peer)
    assert max(len(line) for line in came.split(b"\r\n")) <= 998
    assert parts_of(came) == parts_of(sent)
    assert email.message_from_bytes(came, policy=email.policy.default)["Subject"] == "s" + " word" * 500


@pytest.mark.parametrize("head", ["DKIM-Signature: v=1; b=x\n", 'Content-Type: multipart/signed; micalg=sha-256; boundary=b\n'])
def test_signed_content_with_long_lines_stays(server, peer, head):
    body = ("--b\nContent-Type: text/html\n\n" + "x" * 3000 + "\n--b\nContent-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\n" + "QUJD" * 20 + "\n--b--\n").replace("\n", "\r\n")
    submit(server, ADA, [BOB], (f"From: {ADA}\n{head}{MIME}\n".replace("\n", "\r\n") + body).encode())
    assert received(peer)[1].partition(b"\r\n\r\n")[2] == body.encode()


def test_long_lines_stay_in_a_mailbox_here(server):
    submit(server, ADA, [ADA], (f"From: {ADA}\r\nSubject: here\r\n\r\n" + "x" * 3000 + "\r\n").encode())
    assert b"\n" + b"x" * 3000 + b"\n" in server.arrivals(ADA, "here")[0]
