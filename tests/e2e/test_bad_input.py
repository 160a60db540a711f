# SPDX-License-Identifier: Apache-2.0
"""Invalid input of users: one clear line with the problem, the place and a hint, the right exit code, and
nothing started or left half done."""
import os
import smtplib
import socket
import subprocess

import pytest

from mailboat import PROGRAM, Mailboat, run, smtp

USER, PASSWORD = "ada@example.org", "secret-of-ada"


def refused_config(tmp_path, text, line):
    config = tmp_path / "mailboat.conf"
    config.write_text(text)
    for command in (["serve"], ["config", "check"]):
        done = subprocess.run([str(PROGRAM), *command, "--config", str(config)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 78, (command, done.returncode, done.stderr)
        assert done.stderr.count("\n") == 1, done.stderr
        assert f"{config}:{line}:" in done.stderr if line else str(config) in done.stderr, done.stderr
    assert not (tmp_path / "data").exists()
    return done.stderr


BASE = "hostname: mx.example.org\ndata_dir: {data}\ndomains: [example.org]\n"


@pytest.mark.parametrize("addition, line, words", [
    ("listners: []\n", 4, ["listners", "listeners"]),
    ("limits: {recipients: many}\n", 4, ["recipients"]),
    ("limits:\n  message_size: 50MiB\n  recipients: -1\n", 6, ["recipients"]),
    ("listeners: 25\n", 4, ["listeners"]),
    ("listeners: [{port: 70000}]\n", 4, ["70000"]),
    ("queue: {retry: {first: soon}}\n", 4, ["soon"]),
    ("tls:\n  certificate: /does/not/exist.pem\n  key: /does/not/exist.key\n", 5, ["/does/not/exist.pem"]),
    ("relay: {via: pigeon}\n", 4, ["pigeon", "smarthost"]),
])
def test_a_bad_configuration_names_file_line_and_mend(tmp_path, addition, line, words):
    said = refused_config(tmp_path, BASE.format(data=tmp_path / "data") + addition, line)
    for word in words:
        assert word in said, said


def test_a_missing_configuration_file(tmp_path):
    done = run("serve", "--config", tmp_path / "none.conf", check=False)
    assert done.returncode == 78 and "none.conf" in done.stderr and done.stderr.count("\n") == 1


def test_a_taken_port_is_named_with_its_owner(tmp_path, certificates):
    server = Mailboat(tmp_path / "s", certificates)
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", server.ports[587]))
        taker.listen()
        server.start(wait=False)
        code = server.ended()
        text = "\n".join(server.log)
    assert code in (69, 78), text
    assert str(server.ports[587]) in text and str(os.getpid()) in text, text


def test_two_servers_never_share_a_data_folder(mailboat):
    first = mailboat()
    second = Mailboat(first.folder, first.certificates)
    second.data, second.config = first.data, first.folder / "second.conf"
    second.start(wait=False)
    code = second.ended()
    assert code == 75 and "data_dir" in "\n".join(second.log) and str(first.processes()["queue"][0]) in "\n".join(second.log)
    with smtp(first, 587) as client:
        assert client.noop()[0] == 250
    assert first.cli("send", "--to", "nobody@example.org", check=False, text_input="hi\n").returncode == 69  # its socket still exists


def test_unknown_commands_and_flags():
    for arguments in (["nonsense"], ["send", "--nonsense"], ["queue"], ["queue", "nonsense"], ["user", "add"], ["ports"]):
        done = run(*arguments, check=False)
        assert done.returncode == 64, (arguments, done.returncode, done.stderr)
        assert done.stderr.count("\n") == 1 and "--help" in done.stderr, done.stderr


@pytest.mark.parametrize("command", ["serve", "demo", "ports", "send", "user", "domain", "alias", "key", "queue", "explain", "config"])
def test_every_subcommand_helps_with_an_example(command):
    done = run(command, "--help")
    assert f"mailboat {command}" in done.stdout and "example" in done.stdout.lower()


def test_an_impossible_address_is_said_at_once():
    done = run("ports", "222.501.285.45", check=False, timeout=5)
    assert done.returncode in (64, 65) and "222.501.285.45" in done.stderr and "501" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_refuses_and_recovers(tmp_path, certificates):
    """The data directory is a small file system in the server's own mount
    namespace; the space is freed again."""
    data = tmp_path / "s" / "data"
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(data)], check=True)
    try:
        server = Mailboat(tmp_path / "s", certificates, extra="queue: {hold: true}\n")
        server.start()
        server.add_user(USER, PASSWORD)
        ballast = data / "ballast"
        with open(ballast, "wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
                    file.flush()
            except OSError:
                pass
        replies = set()
        for size in (4000, 4000, 200000):
            with smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30) as client:
                for _ in range(8):
                    try:
                        client.sendmail("bob@elsewhere.net", [USER], "Subject: s\r\n\r\n" + ("x" * 998 + "\r\n") * (size // 1000))
                        replies.add("250")
                    except smtplib.SMTPDataError as refusal:
                        replies.add(f"{refusal.smtp_code} {refusal.smtp_error[:5].decode()}")
        assert "452 4.3.1" in replies and replies <= {"452 4.3.1", "250"}, replies
        ballast.unlink()
        with smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30) as client:
            client.sendmail("bob@elsewhere.net", [USER], "Subject: room again\r\n\r\nhi\r\n")
        listed = server.cli("queue", "list", "--json").stdout
        assert "room again" in listed or server.queue_count() >= 1
        server.stop()
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


def test_a_corrupt_database_is_never_overwritten(mailboat):
    server = mailboat()
    server.stop()
    database = server.data / "queue" / "mailboat.db"
    for beside in database.parent.glob("mailboat.db-*"):
        beside.unlink()
    broken = b"SQLite format 3\0" + b"\xff" * 8000
    database.write_bytes(broken)
    server.log.clear()
    server.start(wait=False)
    code = server.ended()
    text = "\n".join(server.log)
    assert code != 0 and "mailboat.db" in text and "recover" in text, text
    assert database.read_bytes() == broken
