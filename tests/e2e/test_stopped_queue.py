# SPDX-License-Identifier: Apache-2.0
"""After a clean stop the databases are complete without their logs; passwords that are too short."""
import shutil
import smtplib
import sqlite3

USER = "ada@example.org"


def test_after_a_clean_stop_a_copy_of_the_database_alone_is_whole(mailboat, tmp_path):
    server = mailboat(relay="relay: {via: smarthost, smarthost: {host: 127.0.0.1, port: 1, tls: none}}\n", extra="queue: {hold: true}\n")
    server.add_user(USER, "secret-of-ada")
    for n in range(5):
        with smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30) as client:
            client.sendmail("bob@elsewhere.net", [USER], f"Subject: {n}\r\n\r\nhi\r\n")
    server.cli("reload")  # a new process takes over what the first queue process closed
    with smtplib.SMTP("127.0.0.1", server.ports[25], timeout=30) as client:
        client.sendmail("bob@elsewhere.net", [USER], "Subject: 5\r\n\r\nhi\r\n")
    assert server.stop() == 0
    copy = shutil.copy(server.data / "queue" / "mailboat.db", tmp_path / "copy.db")
    assert {path.name for path in server.data.rglob("*.db")} == {"mailboat.db", "accounts.db", "reports.db"}
    for left in [*server.data.rglob("*-wal"), *server.data.rglob("*-journal")]:
        assert left.stat().st_size == 0, left
    accounts = shutil.copy(server.data / "accounts" / "accounts.db", tmp_path / "accounts.db")
    with sqlite3.connect(accounts) as database:
        assert database.execute("select address from user").fetchall() == [(USER,)]
    with sqlite3.connect(copy) as database:
        assert database.execute("select count(*) from message").fetchone() == (6,)
    server.start()
    assert server.queue_count() == 6


def test_a_short_password_is_refused_with_a_sentence(mailboat):
    server = mailboat()
    for password, code in (("x", 65), ("12345", 65), ("123456", 0)):
        done = server.cli("user", "add", USER, "--password-stdin", text_input=password + "\n", check=False)
        assert done.returncode == code and ("at least 6 characters" in done.stderr) == (code != 0), done
    done = server.cli("user", "passwd", USER, "--password-stdin", text_input="y\n", check=False)
    assert done.returncode == 65 and "nothing was changed" in done.stderr
