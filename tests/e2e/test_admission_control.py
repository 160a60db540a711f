# SPDX-License-Identifier: Apache-2.0
"""Very many connections, and very many unknown recipients. Unknown clients are dropped before known ones, and
no client can harvest addresses. tests/unit/test_admission.c and test_harvest.c cover hours of waiting."""
import base64
import contextlib
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from crowds import Crowd, Line
from mailboat import free_port, make_certificates, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

USER, PASSWORD = "ada@example.org", "secret-of-ada"
PLAIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
# Of 300, unknown clients may have 240; each of the five ports has 24 of those reserved, and 120 are shared.
EACH = 20  # connections of a client
SMALL = f"limits: {{connections: 300, connections_per_client: {EACH}%s}}\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def crowd():
    with Crowd() as crowd:
        yield crowd


@pytest.fixture
def start(crowd, certificates, tmp_path):
    running = []

    def start(limits=SMALL % "", **options):
        extra = "processes: {smtpd: 2}\n" + options.pop("web", "")
        server = crowd.server(tmp_path / "server", certificates, limits=limits, extra=extra, **options)
        running.append(server)
        server.start()
        server.add_user(USER, PASSWORD)
        return server

    yield start
    for server in running:
        server.stop()


def sign_in(crowd, server, source, port=587):
    """Connects as a known client; returns its line, authenticated."""
    context = ssl.create_default_context(cafile=str(server.ca))
    context.check_hostname = False
    sock = crowd.call(server, port, source)
    if port == 465:
        line = Line(context.wrap_socket(sock))
    else:
        line = Line(sock)
        assert line.say("EHLO a", "STARTTLS").startswith("220"), line.greeting
        line.file.close()
        line.sock = context.wrap_socket(sock)
        line.file = line.sock.makefile("rb")
    line.say("EHLO a")
    assert line.say(f"AUTH PLAIN {PLAIN}").startswith("235")
    return line


def flood(crowd, server, port, networks, each, address="2001:db8:{n:x}:{m:x}::{i:x}"):
    """Opens silent connections from `each` addresses of several networks."""
    taken = []
    with crowd.inside():
        for n in range(1, networks + 1):
            for i in range(1, each + 1):
                sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
                sock.settimeout(20)
                sock.bind((address.format(n=n, m=i, i=i), 0))
                sock.connect((server.address, server.ports[port]))
                taken.append(sock)
    return taken


def close_all(taken):
    for one in taken:
        one.close()


def local_program(server):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(server.data / "submit.sock"))
    return Line(sock)


def greeted(crowd, server, port, source):
    line = Line(ssl_of(server, crowd.call(server, port, source))) if port == 465 else crowd.line(server, port, source)
    code = line.greeting[:3]
    line.close()
    return code


def ssl_of(server, sock):
    context = ssl.create_default_context(cafile=str(server.ca))
    context.check_hostname = False
    return context.wrap_socket(sock)


def everybody_gets_in(crowd, server):
    for at, port in enumerate((25, 587, 465, 2525)):
        assert greeted(crowd, server, port, f"2001:db8:aaaa:{at}::1") == "220", port
    sign_in(crowd, server, "2001:db8:ffff::1", 465).close()
    program = local_program(server)
    assert program.greeting.startswith("220")
    program.close()


@pytest.mark.parametrize("port", [25, 587, 465, 2525])
def test_a_flood_of_silence_keeps_nobody_out(crowd, start, port):
    server = start()
    sign_in(crowd, server, "2001:db8:ffff::1").close()
    worker = sign_in(crowd, server, "2001:db8:ffff::2")  # in the middle of a message
    assert worker.say(f"MAIL FROM:<{USER}>", f"RCPT TO:<{USER}>", "DATA").startswith("354")
    other = crowd.line(server, 25, "2001:db8:eeee::1")   # another server, too
    assert other.say("EHLO a", "MAIL FROM:<a@example.net>", f"RCPT TO:<{USER}>").startswith("250")
    taken = flood(crowd, server, port, 20, 20)
    server.wait_log("pressure_begun")
    everybody_gets_in(crowd, server)
    assert worker.say("Subject: through the crowd\r\n\r\nHere\r\n.").startswith("250")
    assert other.say("DATA").startswith("354")
    assert other.say("Subject: from another server\r\n\r\nHere\r\n.").startswith("250")
    close_all(taken)
    server.wait_log("pressure_ended")
    assert worker.say("NOOP").startswith("250")
    everybody_gets_in(crowd, server)
    assert len(server.lines("pressure_begun")) == 1 and len(server.lines("connection_rejected")) <= 10


def test_ten_thousand_from_a_hundred_networks(crowd, start):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = start(limits="")
    taken = flood(crowd, server, 25, 101, 100, "2001:db8:{n:x}::{i:x}")
    everybody_gets_in(crowd, server)
    assert len(server.lines("connection_rejected")) <= 10
    close_all(taken)


def test_one_process_with_all_of_the_crowd_makes_room_for_the_other(crowd, start):
    """A process without an idle unknown client still accepts the known one."""
    server = start()
    full, other = server.processes()["smtpd"]
    os.kill(other, signal.SIGSTOP)
    taken = flood(crowd, server, 25, 20, 20)
    assert all(sock.recv(100).startswith(b"220") for sock in taken)  # none of them waits for the other process
    os.kill(full, signal.SIGSTOP)
    os.kill(other, signal.SIGCONT)
    lines = [crowd.line(server, 25, f"2001:db8:aaaa:{at}::1") for at in range(5)]
    assert [line.greeting[:3] for line in lines] == ["220"] * 5
    os.kill(full, signal.SIGCONT)
    until(lambda: sum(not was_cut(sock) for sock in taken) <= 144)
    for line in lines:
        assert line.say("EHLO a", "MAIL FROM:<a@example.net>", f"RCPT TO:<{USER}>").startswith("250")
    close_all(taken)


def test_thousands_of_addresses_with_one_connection_each(crowd, start):
    server = start()
    taken = flood(crowd, server, 25, 500, 1)
    everybody_gets_in(crowd, server)
    close_all(taken)


@pytest.mark.parametrize("address, most", [("2001:db8:1:1::{i:x}", 20), ("2001:db8:1:10{i:02x}::1", 40), ("2001:db8:1:{i:02x}00::1", 80)],
                         ids=["a /64", "a /56", "a /48"])
def test_a_network_has_so_many_connections(crowd, start, address, most):
    server = start(limits="limits: {connections: 2000, connections_per_client: 20}\n")
    taken = flood(crowd, server, 25, 1, most + 10, address)
    greetings = sorted(Line(sock).greeting[:3] for sock in taken)  # two processes do not accept in order
    assert greetings == ["220"] * most + ["421"] * 10
    assert greeted(crowd, server, 25, "2001:db8:2::1") == "220"
    assert len(server.lines("connection_rejected", "too many connections from this address")) <= 2  # one per process
    close_all(taken)


def test_a_network_of_ipv4_has_so_many_connections(crowd, start):
    server = start(limits="limits: {connections: 2000, connections_per_client: 20}\n", six=False)
    taken = flood(crowd, server, 25, 1, 90, "198.18.7.{i}")
    greetings = sorted(Line(sock).greeting[:3] for sock in taken)  # two processes do not accept in order
    assert greetings == ["220"] * 80 + ["421"] * 10
    assert greeted(crowd, server, 25, "198.18.8.1") == "220"
    close_all(taken)


# ---- local programs ----

HOLD = """import socket, sys
held = []
for _ in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    held.append(s)
print(*sorted(s.makefile().readline()[:3] for s in held), flush=True)
sys.stdin.read()
"""


def hold_as(server, uid, count):
    program = subprocess.Popen([sys.executable, "-c", HOLD, str(server.data / "submit.sock"), str(count)], user=uid, group=uid, extra_groups=[],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return program, program.stdout.readline().split()


def test_a_local_user_leaves_room_for_others(crowd, start):
    server = start()
    greedy, heard = hold_as(server, 60001, 100)
    assert heard == ["220"] * 20 + ["421"] * 80
    assert server.wait_log("connection_rejected", "too many connections from this address")
    assert all('account="uid 60001"' in line for line in server.lines("connection_rejected"))
    other, heard = hold_as(server, 60002, 5)
    assert heard == ["220"] * 5
    root, heard = hold_as(server, 0, 50)  # root has no such limit
    assert heard == ["220"] * 50
    everybody_gets_in(crowd, server)
    for program in (greedy, other, root):
        program.communicate()


def test_many_local_users_together_leave_room(crowd, start):
    server = start()
    programs = [hold_as(server, 60001 + i, 20)[0] for i in range(15)]
    everybody_gets_in(crowd, server)
    for program in programs:
        program.communicate()


# ---- the web's ports ----

@pytest.mark.parametrize("in_tls", [False, True], ids=["without TLS", "TLS"])
def test_a_crowd_at_the_web_keeps_nobody_out(crowd, start, in_tls):
    ports = {"port": free_port(socket.AF_INET6), "tls_port": free_port(socket.AF_INET6)}
    server = start(web=f"web: {{address: '2001:db8::25', port: {ports['port']}, tls_port: {ports['tls_port']}}}\n")
    server.ports["web"] = ports["tls_port" if in_tls else "port"]
    taken = flood(crowd, server, "web", 55, 20)  # more than there are places
    held = flood(crowd, server, "web", 1, EACH + 1, "2001:db8:bbbb::{i:x}")  # one /64
    assert held[-1].recv(1) == b""
    held[-2].setblocking(False)
    with pytest.raises(BlockingIOError):
        held[-2].recv(1)
    close_all(held)
    sock = crowd.call(server, "web", "2001:db8:aaaa::1")
    if in_tls:
        sock = ssl_of(server, sock)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: mx.example.org\r\nConnection: close\r\n\r\n")
    assert sock.recv(100).startswith(b"HTTP/1.1 ")
    context = ssl.create_default_context(cafile=str(server.ca))
    context.check_hostname = False
    context.set_alpn_protocols(["smtp"])
    server.ports["web"] = ports["tls_port"]
    sock = crowd.call(server, "web", "2001:db8:aaab::1")
    assert Line(context.wrap_socket(sock)).greeting.startswith("220")
    close_all(taken)


# ---- ways to hold a connection ----

def start_tls(line):
    assert line.say("EHLO a", "STARTTLS").startswith("220")


def half_a_hello(line):
    start_tls(line)
    line.sock.sendall(b"\x16\x03\x01\x02\x00\x01")


def auth_login(crowd, server, source):
    context = ssl.create_default_context(cafile=str(server.ca))
    context.check_hostname = False
    line = Line(context.wrap_socket(crowd.call(server, 465, source)))
    assert line.say("EHLO a", "AUTH LOGIN").startswith("334")
    return line


def deaf(line):
    """Sends requests continuously, and reads nothing."""
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    line.sock.setblocking(False)
    try:
        for _ in range(1000):
            line.sock.send(b"EHLO a\r\nMAIL FROM:<a@example.net>\r\nRSET\r\n" * 20)
    except (BlockingIOError, ConnectionError):
        pass


FORMS = {
    "silence": (25, lambda line: None),
    "an octet": (25, lambda line: line.sock.sendall(b"E")),
    "EHLO": (25, lambda line: line.say("EHLO a")),
    "EHLO on submission": (587, lambda line: line.say("EHLO a")),
    "STARTTLS": (25, start_tls),
    "half a handshake": (2525, half_a_hello),
    "MAIL": (25, lambda line: line.say("EHLO a", "MAIL FROM:<a@example.net>")),
    "DATA that drips": (25, lambda line: line.say("EHLO a", "MAIL FROM:<a@example.net>", f"RCPT TO:<{USER}>", "DATA")),
    "half closed": (25, lambda line: line.sock.shutdown(socket.SHUT_WR)),
    "QUIT, and not gone": (25, lambda line: line.say("QUIT")),
    "reads nothing": (25, deaf),
}


def test_whoever_holds_a_connection_for_nothing_loses_it_under_pressure(crowd, start):
    server = start()
    held = {name: crowd.line(server, port, f"2001:db8:b{at:x}::1") for at, (name, (port, _)) in enumerate(FORMS.items())}
    for name, (_, form) in FORMS.items():
        form(held[name])
    held["AUTH LOGIN"] = auth_login(crowd, server, "2001:db8:c1::1")
    waiting = {name: line.sock for name, line in held.items()}
    waiting["silence where TLS comes first"] = crowd.call(server, 465, "2001:db8:c2::1")
    worker = sign_in(crowd, server, "2001:db8:ffff::2")
    crowds = []

    def all_are_cut():
        """Reconnects repeatedly, to keep up the load."""
        crowds.append(flood(crowd, server, 25, 10, 13))
        for old in crowds[:-1]:
            close_all(old)
        time.sleep(1)
        for name in [name for name, sock in waiting.items() if was_cut(sock)]:
            del waiting[name]
        if "DATA that drips" in waiting:
            with contextlib.suppress(OSError):
                waiting["DATA that drips"].send(b"x")
        return not waiting
    until(all_are_cut, 60)
    assert not waiting
    assert worker.say("NOOP").startswith("250")
    close_all(crowds[-1])


def was_cut(sock):
    """True once the server has closed the connection; earlier data is discarded."""
    try:
        sock.setblocking(False)
        raw = socket.socket.recv if not isinstance(sock, ssl.SSLSocket) else ssl.SSLSocket.recv
        while raw(sock, 65536):
            pass
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


# ---- address harvesting ----

GUARDED = SMALL % ", unknown_recipients: 10"


def guess(line, count, first=0):
    """Sends RCPT for this many unknown recipients, pipelined; returns the reply codes."""
    try:
        line.sock.sendall("".join(f"RCPT TO:<nobody{first + i}@example.org>\r\n" for i in range(count)).encode())
    except OSError:
        pass
    codes = []
    while len(codes) < count and (reply := line.hear()):
        codes.append(reply[:3])
    return codes


def ready(crowd, server, source):
    line = crowd.line(server, 25, source)
    if line.greeting.startswith("220"):
        line.say("EHLO a", "MAIL FROM:<a@example.net>")
    return line


def guess_in_parallel(crowd, server, sources, each):
    """Returns the number of recipients whose existence was revealed."""
    told = []

    def one(source, at):
        try:
            line = ready(crowd, server, source)
            told.extend(guess(line, each, at * each))
            line.close()
        except OSError:
            pass
    threads = [threading.Thread(target=one, args=(source, at)) for at, source in enumerate(sources)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told.count("550")


def assert_few_told(crowd, server, sources, most):
    """Checks that no more than the limit was revealed, except for decay: the count halves in an hour."""
    began = time.monotonic()
    told = guess_in_parallel(crowd, server, sources, 100)
    minutes = (time.monotonic() - began) // 60 + 1
    assert 0 < told <= most + most * minutes // 120, told


@pytest.mark.parametrize("sources, most", [
    (["2001:db8:1:1::1"] * 19, 20),                              # one address
    ([f"2001:db8:1:1::{i:x}" for i in range(1, 20)], 20),        # a /64
    ([f"2001:db8:1:10{i:02x}::1" for i in range(40)], 40),       # a /56
    ([f"2001:db8:1:{i:02x}00::1" for i in range(60)], 80),       # a /48
], ids=["an address", "a /64", "a /56", "a /48"])
def test_addresses_are_not_read_out(crowd, start, sources, most):
    server = start(limits=GUARDED.replace("300", "2000"))
    assert_few_told(crowd, server, sources, most)
    assert server.lines("client_blocked")
    assert len(server.lines("client_slowed")) + len(server.lines("client_blocked")) <= 12
    blocked = crowd.line(server, 25, sources[0])
    assert blocked.greeting.startswith("421 4.7.0"), blocked.greeting
    assert greeted(crowd, server, 25, "2001:db8:7::1") == "220"
    sign_in(crowd, server, sources[0]).close()  # users at that address can still send


def test_addresses_are_not_read_out_from_an_ipv4_network(crowd, start):
    server = start(limits=GUARDED.replace("300", "2000"), six=False)
    assert_few_told(crowd, server, ["198.18.7.1"] * 15, 20)
    assert_few_told(crowd, server, [f"198.18.9.{i}" for i in range(1, 61)], 80)


def test_reconnecting_helps_nobody(crowd, start):
    server = start(limits=GUARDED)
    told = 0
    for i in range(60):
        line = ready(crowd, server, "2001:db8:1:1::1")
        if not line.greeting.startswith("220"):
            break
        told += guess(line, 1, i).count("550")
        line.close()
        if told >= 13:
            break
    assert told == 13 and server.lines("client_slowed")  # with increasing delay


def test_a_blocked_client_learns_nothing_on_what_it_has_open(crowd, start):
    server = start(limits=GUARDED)
    lines = [ready(crowd, server, "2001:db8:1:1::1") for _ in range(2)]
    guess_in_parallel(crowd, server, ["2001:db8:1:1::1"] * 15, 100)
    server.wait_log("client_blocked")
    assert lines[0].say(f"RCPT TO:<{USER}>").startswith("421")
    assert lines[1].say("RCPT TO:<nobody@example.org>").startswith("421")


def test_a_list_with_some_that_are_gone_is_not_slowed(crowd, start):
    """One address in twelve does not exist, far more than the free ones; the others get mail."""
    server = start(limits=GUARDED)
    line = crowd.line(server, 25, "2001:db8:1:1::1")
    line.say("EHLO a")
    for i in range(360):
        assert line.say("MAIL FROM:<news@example.net>").startswith("250")
        if i % 12 == 11:
            assert line.say(f"RCPT TO:<gone{i}@example.org>").startswith("550")
        assert line.say(f"RCPT TO:<{USER}>").startswith("250")
        assert line.say("DATA").startswith("354") and line.say("Subject: news\r\n\r\nNews\r\n.").startswith("250")
    assert not server.lines("client_slowed") and not server.lines("client_blocked")


def give(line, recipient):
    assert line.say("MAIL FROM:<>", f"RCPT TO:<{recipient}>", "DATA").startswith("354")
    assert line.say("Subject: news\r\n\r\nNews\r\n.").startswith("250")


def test_mail_to_one_address_does_not_pay_for_reading_out_the_others(crowd, start):
    """Two messages for each guess: replies are fast for the free guesses and four times as many, then slow."""
    server = start(limits=GUARDED)
    line = crowd.line(server, 25, "2001:db8:1:1::1")
    line.say("EHLO a")
    for i in range(60):
        give(line, USER)
        give(line, USER)
        line.say("MAIL FROM:<>")
        assert line.say(f"RCPT TO:<nobody{i}@example.org>").startswith("550")
        line.say("RSET")
        if server.lines("client_slowed"):
            break
    server.wait_log("client_slowed")
    assert 50 <= i <= 51


def test_a_little_mail_from_each_address_does_not_open_a_network(crowd, start):
    """Each /64 has a good record, and guesses once."""
    server = start(limits=GUARDED)
    for i in range(1, 300):
        line = crowd.line(server, 25, f"2001:db8:1:{i:x}::1")
        if not line.greeting.startswith("220"):
            break
        line.say("EHLO a")
        give(line, USER)
        give(line, USER)
        line.say("MAIL FROM:<>")
        line.say(f"RCPT TO:<nobody{i}@example.org>")
        line.close()
    assert line.greeting.startswith("421 4.7.0") and i <= 130, i


def test_a_list_that_is_used_every_minute_may_have_some_that_are_gone(crowd, start):
    """The same ten unknown recipients each time, and one that exists: they are revealed, and count once."""
    server = start(limits=GUARDED)
    for _ in range(30):
        line = crowd.line(server, 25, "2001:db8:1:1::1")
        line.say("EHLO a", "MAIL FROM:<news@example.net>")
        for gone in range(10):
            assert line.say(f"RCPT TO:<gone{gone}@example.org>").startswith("550")
        assert line.say(f"RCPT TO:<{USER}>").startswith("250")
        line.close()
    assert not server.lines("client_slowed") and not server.lines("client_blocked")


def test_a_user_who_mistypes_is_not_slowed(crowd, start):
    server = start(limits=GUARDED)
    line = sign_in(crowd, server, "2001:db8:1:1::1")
    line.say(f"MAIL FROM:<{USER}>")
    assert guess(line, 40) == ["550"] * 40
    assert not server.lines("client_slowed")


def test_before_sign_in_nothing_is_told_apart(crowd, start):
    server = start()
    line = crowd.line(server, 587, "2001:db8:1:1::1")
    replies = {line.say(command) for command in (f"VRFY {USER}", "VRFY nobody@example.org", f"RCPT TO:<{USER}>", "RCPT TO:<nobody@example.org>",
                                                 f"EXPN {USER}", "EXPN nobody@example.org", f"MAIL FROM:<{USER}>", "MAIL FROM:<nobody@example.org>")}
    assert {reply[:4] for reply in replies} <= {"530 ", "503 "}
    line = crowd.line(server, 25, "2001:db8:1:1::1")
    line.say("EHLO a")
    assert line.say(f"VRFY {USER}") == line.say("VRFY nobody@example.org")
    assert line.say(f"EXPN {USER}") == line.say("EXPN nobody@example.org")


def test_the_guard_can_be_switched_off(crowd, start):
    server = start(limits=SMALL % ", unknown_recipients: 0")
    line = ready(crowd, server, "2001:db8:1:1::1")
    assert guess(line, 99) == ["550"] * 99
    assert greeted(crowd, server, 25, "2001:db8:1:1::1") == "220"
