# SPDX-License-Identifier: Apache-2.0
"""Outgoing mail: to Postfix's smtp-sink, to a real Postfix, and back to the sender as a report if delivery
fails."""
import email
import json
import os

import pytest

from mailboat import smtp
from peers import Postfix, SmtpSink

USER, PASSWORD = "ada@example.org", "secret-of-ada"


def smarthost(port, **more):
    extra = "".join(f", {k}: {v}" for k, v in more.items())
    return f"relay:\n  via: smarthost\n  smarthost: {{host: 127.0.0.1, port: {port}, tls: none{extra}}}\n"


@pytest.fixture
def sink(tmp_path):
    peer = SmtpSink(tmp_path / "sink")
    yield peer
    peer.stop()


def send(server, to, subject="hello", body="over the hills\r\n.dot\r\n", sender=USER):
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(sender, [to] if isinstance(to, str) else to, f"From: {USER}\r\nSubject: {subject}\r\n\r\n{body}")


def test_into_smtp_sink(mailboat, sink):
    server = mailboat(relay=smarthost(sink.port))
    server.add_user(USER, PASSWORD)
    send(server, ["bob@elsewhere.net", "eve@another.org"])
    server.wait_log("delivered", "to=bob@elsewhere.net")
    server.wait_log("delivered", "to=eve@another.org")
    assert len(sink.messages()) == 1  # one transaction for both
    assert b"Subject: hello" in sink.messages()[0]
    assert server.queue_count() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root only")
def test_into_a_real_postfix(mailboat, tmp_path, certificates):
    postfix = Postfix(tmp_path / "postfix", "elsewhere.net", certificates)
    try:
        server = mailboat(relay=f"relay:\n  via: smarthost\n  ca_file: {certificates}/ca.pem\n"
                                f"  smarthost: {{host: localhost, port: {postfix.port}, tls: starttls}}\n")
        server.add_user(USER, PASSWORD)
        large = "x" * 900 + "\r\n"
        send(server, "bob@elsewhere.net", body="first\r\n..\r\n.\r\n" + large * 2000)
        server.wait_log("delivered", "to=bob@elsewhere.net")
        letter = None
        for _ in range(100):  # Postfix has accepted it; its own delivery follows
            if postfix.mail():
                letter = postfix.mail()[0]
                break
            import time
            time.sleep(0.1)
        assert letter is not None
        assert b"TLSv1.3" in letter.split(b"\n\n")[0]
        assert letter.endswith((b"x" * 900 + b"\n") * 2000) and b"\nfirst\n" in letter
    finally:
        postfix.stop()


def test_a_refused_recipient_comes_back_as_a_report(mailboat, tmp_path):
    sink = SmtpSink(tmp_path / "sink", "-f", "RCPT")  # 500 to every RCPT
    try:
        server = mailboat(relay=smarthost(sink.port))
        server.add_user(USER, PASSWORD)
        send(server, "bob@elsewhere.net", subject="to be refused")
        server.wait_log("bounced", "to=bob@elsewhere.net")
        server.wait_log("delivered", f"to={USER}")
        report = email.message_from_bytes(server.mail(USER)[0])
        assert report.get_content_type() == "multipart/report"
        people, machine, original = report.get_payload()
        assert "bob@elsewhere.net" in people.get_payload(decode=True).decode()
        fields = machine.get_payload()[-1]
        assert fields["Final-Recipient"].lower() == "rfc822; bob@elsewhere.net" and fields["Action"] == "failed"
        assert "to be refused" in original.as_string()
        assert server.mail(USER)[0].startswith(b"Return-Path: <>")
    finally:
        sink.stop()


def test_what_cannot_go_now_waits_and_goes_when_told(mailboat, tmp_path):
    from mailboat import free_port
    port = free_port()
    server = mailboat(relay=smarthost(port))
    server.add_user(USER, PASSWORD)
    send(server, "bob@elsewhere.net")
    server.wait_log("deferred", "to=bob@elsewhere.net")
    waiting = json.loads(server.cli("queue", "list", "--json").stdout)
    assert len(waiting) == 1
    queue_id = waiting[0]["id"]
    shown = server.cli("queue", "show", queue_id).stdout
    assert "bob@elsewhere.net" in shown and "refused" in shown.lower()
    sink = SmtpSink.__new__(SmtpSink)
    import peers
    original = peers.free_port
    peers.free_port = lambda: port
    try:
        sink.__init__(tmp_path / "sink")
    finally:
        peers.free_port = original
    try:
        server.cli("queue", "retry", queue_id)
        server.wait_log("delivered", "to=bob@elsewhere.net", f"id={queue_id}")
        assert len(sink.messages()) == 1
    finally:
        sink.stop()


def test_a_waiting_message_can_be_removed(mailboat):
    from mailboat import free_port
    server = mailboat(relay=smarthost(free_port()))
    server.add_user(USER, PASSWORD)
    send(server, "bob@elsewhere.net")
    server.wait_log("deferred", "to=bob@elsewhere.net")
    queue_id = json.loads(server.cli("queue", "list", "--json").stdout)[0]["id"]
    server.cli("queue", "remove", queue_id)
    assert server.queue_count() == 0
    done = server.cli("queue", "show", queue_id, check=False)
    assert done.returncode != 0 and queue_id in done.stderr and done.stderr.count("\n") == 1
