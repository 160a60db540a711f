# SPDX-License-Identifier: Apache-2.0
"""The effects of mail authentication results: the Junk folder, explain, queue show, trust log.
The results are written into the held queue, so that neither DNS nor a forger is needed."""
import json
import shutil
import sqlite3

import pytest

from mailboat import smtp, until
from test_mailboxes import ADA, PASSWORD, mailboat, mailboxes, sure  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(shutil.which("dovecot", path="/usr/sbin:/usr/bin") is None, reason="Dovecot is not installed")

DELIVER, JUNK, REJECT = 0, 1, 3
FAIL_QUARANTINE, FAIL_REJECT = 7, 11
STORY = "SPF fail (-all); DKIM none; DMARC fail; policy quarantine, from _dmarc.bank.example"


def judge(server, disposition, proposed, finding):
    """Gives all queued messages these results, as the store has them."""
    code = disposition | proposed << 2 | finding << 8
    with sqlite3.connect(server.data / "queue" / "mailboat.db") as db:
        db.execute("UPDATE message SET flags = flags | ?, author = 'bank.example', story = ?", (code << 16, STORY))
    db.close()


def queue_judged(server, subject, *findings):
    """Queues a message for ada with these results; returns its id."""
    server.stop()
    server.extra = server.extra.replace("hold: false", "hold: true")
    server.start()
    with smtp(server, 25) as client:
        client.sendmail("pin@bank.example", [ADA], f"From: pin@bank.example\r\nSubject: {subject}\r\n\r\nyour PIN\r\n".encode())
    server.wait_log("accepted")
    queue_id = json.loads(server.cli("queue", "list", "--json").stdout)[0]["id"]
    server.stop()
    judge(server, *findings)
    return queue_id


def release(server):
    server.extra = server.extra.replace("hold: true", "hold: false")
    server.start()


def folder_of(boxes, name):
    with boxes.imap() as client:
        assert client.select(name, readonly=True)[0] == "OK"
        return [client.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in client.search(None, "ALL")[1][0].split()]


@pytest.mark.parametrize("deliver, folder", [("maildir", "Junk"), ("lmtp", "Spam")])
def test_a_quarantined_message_is_in_the_junk_folder(mailboxes, deliver, folder):  # noqa: F811
    boxes = mailboxes(deliver=deliver, extra=f"queue: {{hold: false}}\ntrust: {{mode: off, junk_folder: {folder}}}\n")
    server = boxes.server
    queue_id = queue_judged(server, "forged", JUNK, JUNK, FAIL_QUARANTINE)
    told = server.cli("explain", queue_id).stdout
    assert "mail authentication: junk, since DMARC fails, and the policy of the domain is quarantine; From: bank.example" in told
    assert STORY in told
    assert json.loads(server.cli("explain", queue_id, "--json").stdout)["trust"]["disposition"] == "junk"
    assert STORY in server.cli("queue", "show", queue_id).stdout.replace("\n    ", "")
    assert json.loads(server.cli("queue", "show", queue_id, "--json").stdout)["trust"]["story"] == STORY
    release(server)
    server.wait_log("delivered", queue_id, "in the Junk folder")
    sure(lambda: len(folder_of(boxes, folder)) == 1)
    assert b"Subject: forged" in folder_of(boxes, folder)[0] and boxes.inbox() == []
    with boxes.imap() as client:
        listed = [line.decode() for line in client.lsub()[1]]
        special = [line.decode() for line in client.list()[1] if "\\Junk" in line.decode()]
    assert any(line.endswith(folder) for line in listed) and len(special) == 1 and special[0].endswith(folder)
    maildir = server.data / "mail" / "example.org" / "ada" / "Maildir"
    assert (maildir / f".{folder}" / "maildirfolder").exists()
    # another message is in the inbox as before
    boxes.send(ADA, subject="hello")
    until(lambda: len(boxes.inbox()) == 1)
    assert len(folder_of(boxes, folder)) == 1


def test_nothing_judged_is_said_so(mailboxes):  # noqa: F811
    server = mailboxes(deliver="maildir", extra="trust: {mode: off}\n").server
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [ADA], f"From: {ADA}\r\n\r\nhi\r\n")
    assert "no message" in server.cli("trust", "log").stdout
    assert json.loads(server.cli("trust", "log", "--json").stdout) == []
    for wrong in (("--limit", "many"), ("--limit", "100001"), ("--disposition", "spam"), ("more",)):
        assert server.cli("trust", "log", *wrong, check=False).returncode == 64
