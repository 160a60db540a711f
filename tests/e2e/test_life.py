# SPDX-License-Identifier: Apache-2.0
"""The processes: sandboxed, restarted when killed, reloaded and drained without
dropping a session or losing a message."""
import os
import signal
import socket
import ssl
import threading
from pathlib import Path

import pytest

from mailboat import Mailboat, make_certificates, run, smtp
from peers import smtp_source

USER, PASSWORD = "ada@example.org", "secret-of-ada"
ROLES = ["smtpd", "auth", "queue", "relay", "local", "pickup", "sign", "report"]


def status(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def test_every_process_is_sealed(mailboat):
    server = mailboat()
    processes = server.processes()
    assert sorted(processes) == sorted(ROLES)
    assert len(processes["smtpd"]) == os.cpu_count()
    users = set()
    for role in ROLES:
        for pid in processes[role]:
            facts = status(pid)
            assert facts["Seccomp"].strip() == "2" and facts["NoNewPrivs"].strip() == "1", role
            assert int(facts["CapEff"], 16) == 0 and int(facts["CapPrm"], 16) == 0, role
            users.add((role, facts["Uid"].split()[0]))
            if os.geteuid() == 0:
                assert facts["Uid"].split()[0] != "0", role
    if os.geteuid() == 0:
        assert len({uid for _, uid in users}) == len(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_child_comes_back_and_nothing_accepted_is_lost(mailboat, role):
    """kill -9 while 20 connections send: what got 250 is in the mailbox."""
    server = mailboat()
    server.add_user(USER, PASSWORD)
    total = 3000
    accepted, refused = [], []
    lock = threading.Lock()
    todo = iter(range(total))

    def sender():
        import smtplib
        client = None
        while True:
            with lock:
                number = next(todo, None)
            if number is None:
                break
            try:
                if client is None:
                    client = smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30)
                    client.ehlo()
                client.sendmail("bob@elsewhere.net", [USER], f"Subject: number {number} end\r\n\r\n" + "x" * 4000 + "\r\n")
                with lock:
                    accepted.append(number)
            except (smtplib.SMTPException, OSError):
                client = None
                with lock:
                    refused.append(number)

    senders = [threading.Thread(target=sender) for _ in range(20)]
    for thread in senders:
        thread.start()
    for kill in range(3):
        server.wait_log("accepted", count=500 * (kill + 1))
        while not server.processes().get(role):  # restarted after a while
            threading.Event().wait(0.01)
        before = len(server.lines("process_died", f"role={role}"))
        for pid in server.processes()[role]:
            os.kill(pid, signal.SIGKILL)
        server.wait_log("process_died", f"role={role}", count=before + 1)
    for thread in senders:
        thread.join(120)
    assert len(accepted) > total // 2
    wanted = {f"number {n} end".encode() for n in accepted}

    arrived = {}

    def found():
        for path in (server.maildir(USER) / "new").iterdir():
            if path.name not in arrived:
                arrived[path.name] = path.read_bytes().split(b"Subject: ", 1)[1].split(b"\n", 1)[0]
        return list(arrived.values())

    # Not by the log: a process killed after a commit cannot log it any more.
    for _ in range(1200):
        got = found()
        if wanted <= set(got) and server.queue_count() == 0:
            break
        threading.Event().wait(0.1)
    missing = wanted - set(got)
    assert not missing, f"{len(missing)} of {len(wanted)} accepted messages are not in the mailbox"
    duplicates = len(got) - len(set(got))
    print(f"{role}: {len(accepted)} accepted, {len(refused)} refused, {duplicates} duplicates")
    # A duplicate is possible only for a delivery whose result was not recorded.
    assert duplicates <= {"local": 300, "queue": 300}.get(role, 0)


def test_sighup_reloads_without_dropping_a_session(mailboat, tmp_path):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.mail(USER)
        client.rcpt(USER)
        first = ssl.get_server_certificate(("127.0.0.1", server.ports[465]))
        (tmp_path / "tls2").mkdir()
        server.certificates = make_certificates(tmp_path / "tls2")
        server.ca = server.certificates / "ca.pem"
        server.write_config()
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("reloaded")
        assert ssl.get_server_certificate(("127.0.0.1", server.ports[465])) != first
        assert client.data("Subject: across a reload\r\n\r\nhi\r\n")[0] == 250
    server.wait_log("delivered", f"to={USER}")
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(USER, [USER], "Subject: after\r\n\r\n")
    server.wait_log("delivered", f"to={USER}", count=2)


def test_reloads_under_load_refuse_nothing(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    done = []
    load = threading.Thread(target=lambda: done.append(smtp_source("127.0.0.1", server.ports[25], sessions=10, count=3000)))
    load.start()
    for n in range(3):
        server.wait_log("accepted", count=500 * (n + 1))
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("reloaded", count=n + 1)
    load.join()
    assert done[0].returncode == 0, done[0].stderr
    server.wait_log("delivered", f"to={USER}", count=3000, timeout=60)
    assert len(server.mail(USER)) == 3000


def test_a_bad_configuration_changes_nothing(mailboat):
    server = mailboat()
    before = server.processes()
    server.config.write_text(server.config.read_text() + "nonsense: 1\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reload_failed", "nonsense")
    assert server.processes() == before
    with smtp(server, 25) as client:
        assert client.noop()[0] == 250


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has processes with users of their own")
def test_a_folder_that_the_processes_cannot_reach_is_named(certificates, tmp_path):
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    server = Mailboat(tmp_path / "server", certificates)
    server.data = shut / "data"
    server.write_config()
    done = run("serve", "--config", server.config, check=False, timeout=30)
    assert done.returncode == os.EX_NOPERM
    assert done.stderr.count("\n") == 1 and f"cannot enter {shut}; chmod o+x" in done.stderr


def test_sigterm_drains(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    client = smtp(server, 25)
    client.ehlo()
    client.mail("bob@elsewhere.net")
    client.rcpt(USER)
    client.docmd("DATA")
    client.send(b"Subject: half\r\n\r\n")
    server.process.send_signal(signal.SIGTERM)
    server.wait_log("draining")
    client.send(b"whole\r\n.\r\n")
    assert client.getreply()[0] == 250
    assert client.getreply()[0] == 421
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.ports[25]), 2).recv(1) or (_ for _ in ()).throw(OSError())
    client.close()
    assert server.process.wait(30) == 0
    server.start()
    while not server.mail(USER):  # delivered before the end or after the start
        threading.Event().wait(0.02)
    assert b"half" in server.mail(USER)[0]


def test_the_supervisor_killed_takes_all_with_it(mailboat):
    server = mailboat()
    pids = [p for ps in server.processes().values() for p in ps]
    server.process.kill()
    server.process.wait()
    for _ in range(200):
        alive = [p for p in pids if Path(f"/proc/{p}").exists() and status(p)["State"][0] != "Z"]
        if not alive:
            break
        threading.Event().wait(0.05)
    assert not alive
