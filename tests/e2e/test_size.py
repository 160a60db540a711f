# SPDX-License-Identifier: Apache-2.0
"""Memory use: idle connections, large messages, many concurrent ones."""
import resource
import socket
import ssl
import threading

import pytest

from mailboat import free_port, memory_kib, smtp, until

pytestmark = pytest.mark.alone
USER, PASSWORD = "ada@example.org", "secret-of-ada"


def total_kib(server):
    return sum(memory_kib(pid) for pids in server.processes().values() for pid in pids)


def open_idle(server, port, count, context=None):
    sockets = []
    for _ in range(count):
        s = socket.create_connection((server.address, server.ports[port]), 30)
        if context is not None:
            s = context.wrap_socket(s, server_hostname="localhost")
        assert s.recv(200).startswith(b"220")
        sockets.append(s)
    return sockets


def test_ten_thousand_idle_connections_are_small(mailboat):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(9900, hard - 500)
    server = mailboat(limits="limits: {connections: 30000}\n")  # this many unknown clients on one port are below it
    for s in open_idle(server, 25, 50):  # warm up
        s.close()
    before = total_kib(server)
    idle = open_idle(server, 25, count)
    each = (total_kib(server) - before) / count
    print(f"{count} idle connections: {each:.1f} KiB each")
    assert each <= 12
    with smtp(server, 25) as client:  # another connection is still accepted
        assert client.noop()[0] == 250
    for s in idle:
        s.close()


def test_an_idle_tls_connection_is_small(mailboat):
    server = mailboat()
    context = ssl.create_default_context(cafile=server.ca)
    warm = open_idle(server, 465, 50, context)
    before = total_kib(server)
    idle = open_idle(server, 465, 500, context)
    each = (total_kib(server) - before) / 500
    print(f"an idle TLS connection: {each:.1f} KiB")
    assert each <= 48
    for s in warm + idle:
        s.close()


def test_a_large_message_passes_in_little_memory(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(USER, [USER], "Subject: small\r\n\r\n" + ("x" * 76 + "\r\n") * 1000)
    server.wait_log("delivered", f"to={USER}")
    before = {pid: memory_kib(pid) for pids in server.processes().values() for pid in pids}
    size = 49 * 1024 * 1024
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(USER, [USER], b"Subject: large\r\n\r\n" + (b"y" * 76 + b"\r\n") * (size // 78))
    server.wait_log("delivered", f"to={USER}", count=2)
    for pid, kib in before.items():
        high = next(int(l.split()[1]) for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM"))
        now = memory_kib(pid)
        assert now - kib <= 4096, f"{pid} grew from {kib} to {now} KiB (peak {high})"
    assert max(len(m) for m in server.mail(USER)) > size * 76 // 78


def test_ten_thousand_deliveries_are_under_way_at_once(mailboat):
    """Ten thousand servers accept the connection and stay silent; mail for other servers is not delayed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10000, hard - 1000)
    port, silent = free_port(), []
    door = socket.create_server(("0.0.0.0", port), backlog=4096)
    threading.Thread(target=lambda: [silent.append(door.accept()[0]) for _ in range(count)], daemon=True).start()
    server = mailboat(relay=f"relay: {{routes: [{{domain: \"*.silent.test\", host: 127.0.0.1, port: {port}}}]}}\n", limits="limits: {recipients: 5000}\n")
    server.add_user(USER, PASSWORD)
    before = total_kib(server)
    there = [f"u@d{i}.silent.test" for i in range(count)]
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        for i in range(0, count, 2500):
            client.sendmail(USER, there[i:i + 2500], "Subject: many\r\n\r\nhi\r\n")
    until(lambda: len(silent) == count)
    assert len(silent) == count
    each = (total_kib(server) - before) / count
    print(f"{count} deliveries under way: {each:.1f} KiB each")
    assert each <= 32
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(USER, [USER], "Subject: passes\r\n\r\nthem\r\n")
    assert len(server.arrivals(USER, "passes")) == 1
    door.close()
    for s in silent:
        s.close()
