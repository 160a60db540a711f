# SPDX-License-Identifier: Apache-2.0
"""Forwarding loops across servers: at most one copy in each mailbox, and a clear report."""
import pytest

from mailboat import Mailboat, run, smtp, until
from test_reports import Report

PASSWORD = "secret-of-all"
NAMES = ("a", "b", "c")


@pytest.fixture
def net(tmp_path, certificates):
    """Servers for a.example, b.example and c.example, each with ada@ and sam@ and routes to the others."""
    servers = {n: Mailboat(tmp_path / n, certificates, domains=(f"{n}.example",)) for n in NAMES}
    for n, server in servers.items():
        routes = ", ".join(f"{{domain: {o}.example, host: localhost, port: {servers[o].ports[25]}, tls: may}}" for o in NAMES if o != n)
        server.relay = f"relay:\n  routes: [{routes}]\n"
        server.extra = "queue: {retry: {first: 1s, max: 1s}}\n"
        server.start()
        for user in ("ada", "sam"):
            server.add_user(f"{user}@{n}.example", PASSWORD)
    yield servers
    for server in servers.values():
        server.stop()


def server_of(net, address):
    return net[address.split("@")[1][0]]


def forward(net, user, target, *flags):
    server_of(net, user).cli("user", "forward", user, target, *flags)


def send(net, recipient, sender="sam@a.example", headers="", code=250, size=0):
    with smtp(server_of(net, recipient), 25, starttls=False) as client:
        client.ehlo()
        assert client.mail(sender)[0] == 250 and client.rcpt(recipient)[0] == 250
        assert client.data(f"{headers}From: {sender}\r\nTo: {recipient}\r\nSubject: round\r\n\r\ntext\r\n" + ("x" * 78 + "\r\n") * (size // 80))[0] == code


def copies(net, address):
    return len([m for m in server_of(net, address).mail(address) if b"Subject: round" in m.split(b"\r\n\r\n")[0].replace(b"\r", b"") or
                b"\nSubject: round" in m.split(b"\n\n")[0]] )


def rest(net):
    """Waits until all queues are empty, twice in a row."""
    until(lambda: all(s.queue_count() == 0 for s in net.values()) and all(s.queue_count() == 0 for s in net.values()))
    assert all(s.queue_count() == 0 for s in net.values())


def looped(net):
    return sum(len(s.lines("looped")) for s in net.values())


def reports(net, address="sam@a.example"):
    return [Report(m) for m in server_of(net, address).mail(address) if b"multipart/report" in m]


@pytest.mark.parametrize("size", [0, 100000])
def test_two_users_who_forward_to_each_other(net, size):
    forward(net, "ada@a.example", "ada@b.example")
    forward(net, "ada@b.example", "ada@a.example")
    send(net, "ada@a.example", size=size)
    until(lambda: looped(net) > 0 and reports(net))
    rest(net)
    assert copies(net, "ada@a.example") == 1 and copies(net, "ada@b.example") == 1
    report, = reports(net)
    assert report.fates() == {"ada@a.example": ("failed", "5.4.6")} and "mail loop detected" in " ".join(report.words.split())
    assert report.whole["From"].endswith("@mx.example.org>")  # the server whose message was rejected reports it
    assert "Delivered-To: ada@a.example" in str(report.returned.as_string())
    assert [len(net[n].lines("accepted", "protocol=ESMTP", "from=sam@a.example")) for n in "ab"] == [1, 1]  # rejected when it came back


def test_neither_keeps_a_copy(net):
    forward(net, "ada@a.example", "ada@b.example", "--no-keep")
    forward(net, "ada@b.example", "ada@a.example", "--no-keep")
    send(net, "ada@a.example")
    until(lambda: reports(net))
    rest(net)
    assert len(reports(net)) == 1 and copies(net, "ada@a.example") + copies(net, "ada@b.example") == 0


def test_a_circle_through_three_servers(net):
    forward(net, "ada@a.example", "ada@b.example")
    forward(net, "ada@b.example", "ada@c.example")
    forward(net, "ada@c.example", "ada@a.example")
    send(net, "ada@b.example", sender="sam@c.example")
    until(lambda: reports(net, "sam@c.example"))
    rest(net)
    assert [copies(net, f"ada@{n}.example") for n in NAMES] == [1, 1, 1] and len(reports(net, "sam@c.example")) == 1


def test_into_the_middle_of_a_way(net):
    """The loop returns not to the recipient but to a forwarder on the path."""
    net["a"].cli("alias", "add", "list@a.example", "ada@a.example", "sam@a.example")
    forward(net, "ada@a.example", "ada@b.example")
    forward(net, "ada@b.example", "ada@a.example")
    send(net, "list@a.example", sender="sam@c.example")
    until(lambda: reports(net, "sam@c.example"))
    rest(net)
    assert copies(net, "ada@a.example") == copies(net, "ada@b.example") == copies(net, "sam@a.example") == 1


@pytest.mark.parametrize("many", [False, True])
def test_an_alias_with_a_member_that_forwards_to_it(net, many):
    more = [f"x{i}@a.example" for i in range(150)] if many else []
    if many:
        net["a"].cli("alias", "add", "@a.example", "sam@a.example")
    net["a"].cli("alias", "add", "list@a.example", "--from", "-", text_input="\n".join(["ada@a.example", "ada@b.example", *more]))
    forward(net, "ada@b.example", "list@a.example")
    send(net, "list@a.example", sender="sam@c.example")
    until(lambda: reports(net, "sam@c.example"))
    rest(net)
    report, = reports(net, "sam@c.example")
    assert copies(net, "ada@a.example") == copies(net, "ada@b.example") == 1 and copies(net, "sam@a.example") == (1 if many else 0)


def test_a_catch_all_that_leads_to_itself_elsewhere(net):
    """The loop is detected under any of the address's names."""
    net["a"].cli("alias", "add", "@a.example", "ada@b.example")
    forward(net, "ada@b.example", "other@a.example")
    send(net, "nobody@a.example", sender="sam@c.example")
    until(lambda: reports(net, "sam@c.example"))
    rest(net)
    assert copies(net, "ada@b.example") == 1 and len(reports(net, "sam@c.example")) == 1


def test_the_null_sender_is_told_in_the_log(net):
    forward(net, "ada@a.example", "ada@b.example")
    forward(net, "ada@b.example", "ada@a.example")
    send(net, "ada@a.example", sender="")
    net["a"].wait_log("looped", "to=ada@a.example", "status=5.4.6")
    rest(net)
    assert copies(net, "ada@a.example") == copies(net, "ada@b.example") == 1


def test_who_is_away_answers_once(net):
    net["a"].cli("user", "vacation", "ada@a.example", "--text", "I am away", check=False)
    forward(net, "ada@a.example", "ada@b.example")
    forward(net, "ada@b.example", "ada@a.example")
    send(net, "ada@a.example")
    until(lambda: reports(net))
    rest(net)
    answers = [m for m in net["a"].mail("sam@a.example") if b"Auto-Submitted: auto-replied" in m and b"multipart/report" not in m]
    assert len(answers) <= 1 and copies(net, "ada@a.example") == 1


def test_by_sendmail(net):
    forward(net, "ada@a.example", "ada@b.example")
    forward(net, "ada@b.example", "ada@a.example")
    run("sendmail", "-C", net["a"].config, "-f", "sam@a.example", "ada@a.example", text_input="Subject: round\n\nhi\n")
    until(lambda: reports(net))
    rest(net)
    assert copies(net, "ada@a.example") == copies(net, "ada@b.example") == 1


@pytest.mark.parametrize("keep", [True, False])
def test_a_forged_trace_stops_the_forwarding_and_is_told(net, keep):
    """A mailbox without a forwarding accepts it; one with a forwarding rejects it once."""
    forward(net, "ada@a.example", "ada@b.example", *([] if keep else ["--no-keep"]))
    forged = "Delivered-To: <ADA@A.example>\r\nDelivered-To:\r\n sam@a.example\r\n"
    send(net, "sam@a.example", headers=forged)
    net["a"].arrivals("sam@a.example", "round")
    send(net, "ada@a.example", headers=forged, sender="sam@c.example", code=554)  # a forged sender gets no report
    rest(net)
    assert not reports(net, "sam@c.example") and copies(net, "ada@b.example") == 0 == copies(net, "ada@a.example")
    with smtp(net["a"], 25, starttls=False) as client:  # with a recipient without a loop
        client.sendmail("sam@c.example", ["ada@a.example", "sam@a.example"], f"{forged}Subject: both\r\n\r\n")
    net["a"].arrivals("sam@a.example", "both")
    until(lambda: reports(net, "sam@c.example"))
    rest(net)
    report, = reports(net, "sam@c.example")
    assert list(report.fates().values()) == [("failed", "5.4.6")] and not net["a"].mail("ada@a.example")


def test_what_is_like_a_trace_and_is_none(net):
    forward(net, "ada@a.example", "ada@b.example")
    like = "X-Delivered-To: ada@a.example\r\nDelivered-To: ada@a.example.net\r\nDelivered-To: nada@a.example\r\nComment: Delivered-To: ada@a.example\r\n"
    send(net, "ada@a.example", headers=like)
    net["b"].arrivals("ada@b.example", "round")
    with smtp(net["a"], 25, starttls=False) as client:
        client.sendmail("sam@c.example", ["ada@a.example"], "Subject: body\r\n\r\nDelivered-To: ada@a.example\r\n")
    net["b"].arrivals("ada@b.example", "body")
    assert looped(net) == 0


def test_two_who_forward_to_the_same_place_are_no_circle(net):
    """A forwarded message can be forwarded again by another user."""
    forward(net, "ada@a.example", "ada@b.example")
    forward(net, "ada@b.example", "sam@a.example")
    forward(net, "sam@a.example", "ada@c.example")
    send(net, "ada@a.example", sender="sam@c.example")
    text, = net["c"].arrivals("ada@c.example", "round")
    assert [line for line in text.replace(b"\r", b"").split(b"\n") if line.startswith(b"Delivered-To: ")][-3:] == [
        b"Delivered-To: sam@a.example", b"Delivered-To: ada@b.example", b"Delivered-To: ada@a.example"]
    rest(net)
    assert looped(net) == 0


def test_users_of_one_server_in_a_circle(net):
    """No mail leaves or is lost: users that keep copies get one; if none does, the recipient keeps it."""
    forward(net, "ada@a.example", "sam@a.example")
    forward(net, "sam@a.example", "ada@a.example")
    send(net, "ada@a.example", sender="sam@c.example")
    net["a"].arrivals("sam@a.example", "round")
    rest(net)
    assert copies(net, "ada@a.example") == copies(net, "sam@a.example") == 1
    forward(net, "ada@a.example", "sam@a.example", "--no-keep")
    forward(net, "sam@a.example", "ada@a.example", "--no-keep")
    send(net, "ada@a.example", sender="sam@c.example")
    until(lambda: copies(net, "ada@a.example") == 2)
    rest(net)
    assert copies(net, "ada@a.example") == 2 and copies(net, "sam@a.example") == 1 and not reports(net, "sam@c.example")
