# SPDX-License-Identifier: Apache-2.0
"""Reports of other servers as they arrive: the addresses of a hosted domain take them, a process of its own
reads them, and `mailboat reports` shows them as one. Bombs and broken ones stop no other mail."""
import gzip
import json
import os
import signal
import threading
import zlib

from mailboat import smtp, until
from test_aggregate_reports import REPORT, message, zipped

SHOP, ADA = "shop.example", "ada@example.org"
OWN = REPORT.replace("example.org", SHOP)
TLS = json.dumps({"organization-name": "there.test", "date-range": {"start-datetime": "2026-11-01T00:00:00Z", "end-datetime": "2026-11-01T23:59:59Z"},
                  "report-id": "tls-1", "policies": [{"policy": {"policy-type": "sts", "policy-domain": SHOP}, "summary": {
                      "total-successful-session-count": 7, "total-failure-session-count": 3}, "failure-details": [
                          {"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.7", "receiving-mx-hostname": "mx.shop.example", "failed-session-count": 3}]}]})


def complaint(kind, who):
    return (f'From: fbl@there.test\r\nContent-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nA complaint.\r\n'
            f"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nVersion: 1\r\nOriginal-Rcpt-To: <{who}>\r\nSource-IP: 192.0.2.1\r\n\r\n"
            f"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: news@{SHOP}\r\nTo: {who}\r\nSubject: News\r\n\r\nBuy!\r\n--b--\r\n").encode()


def plain(content, kind="text/xml"):
    return b"From: dmarc@there.test\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + content.replace(b"\n", b"\r\n")


def numbered(i):
    return OWN.replace("<report_id>1<", f"<report_id>many-{i}<")


def bomb():
    """10,000 MiB of zeros in 10.4 MB: one compressed MiB again and again."""
    head, pack = b"\x1f\x8b\x08\0\0\0\0\0\0\3", zlib.compressobj(9, zlib.DEFLATED, -15)
    block = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    return head + block * 10000


def send(server, address, content):
    with smtp(server, 25, starttls=False) as client:
        client.sendmail("dmarc@there.test", [address], content)


def shown(server, *options):
    return json.loads(server.cli("reports", *options, "--json").stdout)


def test_reports_arrive_and_are_shown_as_one(mailboat):
    server = mailboat()
    server.add_user(ADA, "secret-of-ada")
    assert server.cli("reports").stdout.startswith("no report in the last 90 days: ")
    refused = server.cli("reports", "kept", "1", check=False)
    assert refused.returncode == 66 and "no message 1" in refused.stderr
    added = server.cli("domain", "add", SHOP).stdout
    assert f"dmarc-reports@, tls-reports@ and feedback-reports@{SHOP}" in added
    records = server.cli("dns", SHOP).stdout
    assert f"rua=mailto:dmarc-reports@{SHOP}" in records and f"rua=mailto:tls-reports@{SHOP}" in records

    dmarc, on_tls, feedback = (f"{name}@{SHOP}" for name in ("dmarc-reports", "tls-reports", "feedback-reports"))
    good = [(dmarc, message(gzip.compress(OWN.encode()))), (dmarc, message(zipped(numbered("zip")))), (dmarc, plain(numbered("plain").encode())),
            (on_tls, plain(TLS.encode(), "application/tlsrpt+json"))]
    # test_trust_port25.py has complaints that count.
    doubted = [(feedback, complaint("abuse", "bob@there.net")), (on_tls, complaint("opt-out", "carl@there.net"))]
    bad = [(dmarc, message(bomb()), "larger than 64 MiB when unpacked"), (dmarc, message(zipped("0" * (70 << 20))), "100 times its size"),
           (dmarc, message(gzip.compress(gzip.compress(OWN.encode()))), "packed more than once"), (dmarc, plain(OWN[:-20].encode()), "damaged"),
           (on_tls, message(b'{"policies": [' + b"{}," * 200001 + b"{}]}"), "more than 200000 values"),
           (on_tls, plain(b"Hello, is this the right address?", "text/plain"), "it is not a report")]
    for (address, content), (other, wrong, _) in zip(good + doubted, bad):
        send(server, other, wrong)
        send(server, address, content)
    send(server, dmarc, message(gzip.compress(OWN.encode())))  # once more: counted once
    send(server, ADA, b"Subject: meanwhile\r\n\r\nhello\r\n")
    server.arrivals(ADA, "meanwhile")
    server.wait_log("report_read", count=len(good))
    server.wait_log("report_known")
    server.wait_log("report_unreadable", count=len(bad))
    server.wait_log("complaint_not_counted", "it was not checked here who sent it", count=len(doubted))

    table = server.cli("reports").stdout
    assert table.startswith("3 reports of DMARC, 1 on TLS, 0 complaints in the last 90 days\n"), table
    assert [line.split() for line in table.splitlines() if "192.0.2.1  " in line or "203." in line] == [
        ["120", "DKIM", "192.0.2.1", "accepted", SHOP], ["6", "no", "203.0.113.9", "reject", SHOP]]
    for part in ("-> 120 of 126 messages are aligned; the others", f"{SHOP} (sts): 7 sessions were secure, 3 failed", "3 certificate-expired from 192.0.2.7 to mx.shop.example",
                 "-> 8 messages could not be read as reports, or did not count: mailboat reports kept"):
        assert part in table, (part, table)
    kept = json.loads(server.cli("reports", "kept", "--json").stdout)
    assert sorted(k["reason"] for k in kept) == sorted(k["reason"] for k in shown(server)["kept"]) and len(kept) == len(bad + doubted)
    for address, _, reason in bad:
        assert any(reason in k["reason"] and k["recipient"] == address and k["sender"] == "dmarc@there.test" for k in kept), (reason, kept)
    number = next(k["number"] for k in kept if "not a report" in k["reason"])
    assert "Hello, is this the right address?" in server.cli("reports", "kept", str(number)).stdout
    assert str(number) in server.cli("reports", "kept", "--domain", SHOP).stdout

    everything = shown(server)
    assert everything["complaints"] == []
    assert everything["sources"][0] == {"source": "192.0.2.1", "messages": 120, "aligned": True, "disposition": "none", "dkim": "pass", "spf": "fail", "header_from": SHOP}
    assert shown(server, "--domain", SHOP, "--since", "1d") == everything
    assert not any(shown(server, "--domain", "example.org").values()) and not any(shown(server, "--since", "2100-01-01").values())
    for wrong in (["--since", "yesterday"], ["--since", "2026-02-30"], ["--domain", "not a domain"]):
        assert server.cli("reports", *wrong, check=False).returncode == 64
    until(lambda: server.queue_count() == 0)
    assert not server.lines("bounced") and not server.lines("process_died")

    removed = server.cli("domain", "remove", SHOP).stdout
    assert "reports that have arrived stay for 90 days" in removed and "its signing key stays (mb-rsa-" in removed and f"mailboat dkim retire SELECTOR {SHOP}" in removed
    with smtp(server, 25, starttls=False) as client:
        client.ehlo()
        client.mail("dmarc@there.test")
        until(lambda: client.rcpt(dmarc)[0] in (550, 554))
    assert shown(server) == everything


def test_forty_at_once_and_what_ends_the_process(mailboat):
    server = mailboat()
    server.add_user(ADA, "secret-of-ada")
    packed = message(gzip.compress(bytes(70 << 20)))
    contents = [message(gzip.compress(numbered(i).encode())) if i % 10 else packed for i in range(40)]
    threads = [threading.Thread(target=send, args=(server, "dmarc-reports@example.org", content)) for content in contents]
    for thread in threads:
        thread.start()
    send(server, ADA, b"Subject: meanwhile\r\n\r\nhello\r\n")
    server.arrivals(ADA, "meanwhile")
    for thread in threads:
        thread.join()
    server.wait_log("report_read", count=36)
    server.wait_log("report_unreadable", count=4)
    assert shown(server)["sources"][0]["messages"] == 36 * 40 and len(shown(server)["kept"]) == 4
    until(lambda: server.queue_count() == 0)

    # the process ends, and a report that arrives meanwhile is read by the next one, once
    before = server.processes()["report"]
    os.kill(before[0], signal.SIGKILL)
    send(server, "dmarc-reports@example.org", message(gzip.compress(numbered("after").encode())))
    server.wait_log("report_read", count=37)
    assert len(shown(server)["reports"]) == 37 and server.processes()["report"] != before

    # a file that is damaged is set aside, and reports still arrive
    server.stop()
    store = server.data / "reports" / "reports.db"
    store.write_bytes(b"no database at all" * 100)
    assert "is damaged" in server.cli("reports", check=False).stderr
    server.start()
    server.wait_log("report_store_damaged")
    send(server, "tls-reports@example.org", plain(TLS.encode(), "application/tlsrpt+json"))
    server.wait_log("report_read")
    assert len(shown(server)["reports"]) == 1 and (server.data / "reports" / "reports.db.damaged").exists()
