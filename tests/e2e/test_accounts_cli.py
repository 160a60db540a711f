# SPDX-License-Identifier: Apache-2.0
"""The subcommands for accounts and the configuration: their output, their errors and hints, their JSON, and
the owners of the files that they create."""
import json
import os
import pty
import select
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from mailboat import PATIENCE, PROGRAM, Mailboat, run, smtp

ADA, PASSWORD = "ada@example.org", "secret-of-ada"
PASSWORD_OCTETS_MAX = 511  # of crypt(3); longer ones are rejected
NOBODY = 65534
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act on another's folder")


class Accounts:
    """Subcommands with one configuration."""

    def __init__(self, folder, domains="[example.org]"):
        self.data = folder / "data"
        self.config = folder / "mailboat.conf"
        self.config.write_text(f"hostname: mx.example.org\ndata_dir: {self.data}\ndomains: {domains}\n")

    def __call__(self, *arguments, **options):
        return run(*arguments, "--config", self.config, **options)

    def refused(self, code, *arguments, says=(), **options):
        done = self(*arguments, check=False, **options)
        assert done.returncode == code, (arguments, done.returncode, done.stderr)
        assert done.stderr.count("\n") == 1, done.stderr
        for word in says:
            assert word in done.stderr, done.stderr

    def listed(self, what):
        return json.loads(self(what, "list", "--json").stdout)

    def add_ada(self):
        self("user", "add", ADA, text_input=PASSWORD + "\n")


@pytest.fixture
def accounts(tmp_path):
    return Accounts(tmp_path)


# ---- users ----

def test_a_user_is_added_listed_disabled_and_removed(accounts):
    accounts("user", "add", "Ada@Example.ORG", text_input=PASSWORD + "\n")
    (user,) = accounts.listed("user")
    assert user["address"] == ADA and user["disabled"] is False and user["created"].endswith("Z")
    accounts("user", "disable", ADA)
    assert accounts.listed("user")[0]["disabled"] is True
    assert "(disabled)" in accounts("user", "list").stdout
    accounts("user", "enable", ADA)
    assert accounts.listed("user")[0]["disabled"] is False
    accounts("user", "remove", ADA)
    assert accounts.listed("user") == [] and accounts("user", "list").stdout == ""


def test_refusals_name_the_mend(accounts):
    accounts.add_ada()
    accounts.refused(65, "user", "add", "bob@foreign.example", text_input="secret\n", says=["mailboat domain add foreign.example"])
    accounts.refused(65, "user", "add", ADA, text_input="secret\n", says=["already"])
    accounts.refused(65, "user", "add", "bob", text_input="secret\n", says=["ada@example.org"])
    accounts.refused(65, "alias", "add", "info@foreign.example", ADA, says=["mailboat domain add foreign.example"])
    for verb in ("disable", "enable", "remove"):
        accounts.refused(67, "user", verb, "nobody@example.org", says=["nobody@example.org"])
    accounts.refused(67, "user", "passwd", "nobody@example.org", text_input="secret\n", says=["nobody@example.org"])
    accounts.refused(67, "key", "add", "nobody@example.org", says=["nobody@example.org"])
    accounts.refused(67, "key", "revoke", "nonsense", says=["nonsense"])
    accounts.refused(67, "alias", "remove", "info@example.org", says=["info@example.org"])


@pytest.mark.parametrize("arguments", [
    ["user", "list", "--frobnicate"], ["user", "frobnicate"], ["user", "add"], ["user", "add", ADA, "more"],
    ["user", "add", ADA, "--password-file"], ["user", "list", "--json=yes"], ["domain", "add"], ["alias", "add", ADA],
    ["key", "add"], ["config"], ["config", "frobnicate"],
])
def test_wrong_usage_points_to_help(accounts, arguments):
    accounts.refused(64, *arguments, says=[f"mailboat {arguments[0]} --help"])
    assert not accounts.data.exists()


# ---- passwords ----

def test_a_password_has_its_limits(accounts, tmp_path):
    file = tmp_path / "password"
    file.write_text("p" * PASSWORD_OCTETS_MAX + "\r\nnot this line\n")
    accounts("user", "add", ADA, "--password-file", file)
    for wrong in ("p" * (PASSWORD_OCTETS_MAX + 1), "p" * 1025, "p" * 100_000, "ab\0cd", ""):
        done = accounts("user", "add", "bob@example.org", text_input=wrong + "\n", check=False)
        assert done.returncode != 0 and done.stderr.count("\n") == 1, (len(wrong), done)
    accounts.refused(65, "user", "add", "bob@example.org", text_input="", says=["standard input"])
    accounts.refused(66, "user", "add", "bob@example.org", "--password-file", tmp_path / "none", says=["none"])
    assert [user["address"] for user in accounts.listed("user")] == [ADA]


class Terminal:
    """The program on its own terminal."""

    def __init__(self, *arguments):
        self.pid, self.side = pty.fork()
        if self.pid == 0:
            os.execv(PROGRAM, [str(PROGRAM), *map(str, arguments)])

    def wait_for(self, text):
        seen = b""
        while text not in seen:
            assert select.select([self.side], [], [], PATIENCE)[0], seen
            seen += os.read(self.side, 1024)
        return seen

    def echoes(self):
        return bool(termios.tcgetattr(self.side)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.side, text)

    def end(self):
        seen = b""
        try:
            while more := os.read(self.side, 1024):
                seen += more
        except OSError:  # the other side is closed
            pass
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.side)
        return status, seen


def test_a_terminal_asks_twice_and_shows_nothing(accounts):
    terminal = Terminal("user", "add", ADA, "--config", accounts.config)
    terminal.wait_for(b"New password: ")
    assert not terminal.echoes()
    terminal.type(b"hidden\n")
    seen = terminal.wait_for(b"Once more: ")
    assert not terminal.echoes()
    terminal.type(b"hidden\n")
    status, rest = terminal.end()
    assert os.waitstatus_to_exitcode(status) == 0 and b"added" in rest and b"hidden" not in seen + rest


def test_two_different_passwords_change_nothing(accounts):
    terminal = Terminal("user", "add", ADA, "--config", accounts.config)
    terminal.wait_for(b"New password: ")
    terminal.type(b"one\n")
    terminal.wait_for(b"Once more: ")
    terminal.type(b"two\n")
    status, rest = terminal.end()
    assert os.waitstatus_to_exitcode(status) == 65 and b"the passwords do not match" in rest
    assert accounts.listed("user") == []


def test_an_interrupted_question_gives_the_terminal_back(accounts):
    """The program runs in a shell, so that the terminal outlives the program."""
    pid, side = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", 'trap : INT; "$0" user add ada@example.org --config "$1"; stty -a; echo THE END',
                             str(PROGRAM), str(accounts.config)])
    terminal = Terminal.__new__(Terminal)
    terminal.pid, terminal.side = pid, side
    terminal.wait_for(b"New password: ")
    terminal.type(b"half a pass\x03")
    seen = terminal.wait_for(b"THE END")
    terminal.end()
    assert b" echo " in seen and b" -echo " not in seen
    assert accounts.listed("user") == []


# ---- domains, aliases, keys ----

def test_domains_of_the_configuration_and_of_the_accounts(tmp_path):
    accounts = Accounts(tmp_path, domains="[example.org, Second.example]")
    accounts("domain", "add", "Third.Example")
    accounts("domain", "add", "bücher.example")
    assert accounts.listed("domain") == [
        {"name": "example.org", "configuration": True}, {"name": "second.example", "configuration": True},
        {"name": "third.example", "configuration": False}, {"name": "xn--bcher-kva.example", "configuration": False}]
    accounts.refused(65, "domain", "add", "SECOND.example", says=["listed under domains in", str(accounts.config)])
    accounts.refused(65, "domain", "remove", "second.example", says=["listed under domains in", str(accounts.config)])
    accounts.refused(65, "domain", "add", "third.example", says=["already"])
    accounts.refused(67, "domain", "remove", "fourth.example", says=["fourth.example"])
    for wrong in ("bad domain", "192.0.2.1", "x-.example", ""):
        accounts.refused(65, "domain", "add", wrong, says=["domain name"])
    accounts("user", "add", "bob@third.example", text_input="secret\n")
    accounts("domain", "remove", "third.example")
    assert "third.example" not in accounts("domain", "list").stdout


def test_a_domain_in_both_places_is_listed_once_and_can_go_from_one(tmp_path):
    accounts = Accounts(tmp_path, domains="[example.org]")
    accounts("domain", "add", "both.example")
    accounts = Accounts(tmp_path, domains="[example.org, both.example]")
    assert [d["name"] for d in accounts.listed("domain")] == ["example.org", "both.example"]
    accounts.refused(65, "domain", "remove", "both.example", says=["listed under domains in"])
    accounts = Accounts(tmp_path, domains="[example.org]")
    assert [d["name"] for d in accounts.listed("domain")] == ["example.org"]


def test_aliases(accounts):
    accounts.add_ada()
    accounts("alias", "add", "Info@example.org", ADA)
    accounts("alias", "add", "info@example.org", "far@elsewhere.example")
    accounts.refused(65, "alias", "add", "info@example.org", ADA, says=["already"])
    assert accounts.listed("alias") == [{"address": "info@example.org", "target": ADA},
                                        {"address": "info@example.org", "target": "far@elsewhere.example"}]
    accounts("alias", "remove", "info@example.org", ADA)
    assert [a["target"] for a in accounts.listed("alias")] == ["far@elsewhere.example"]
    accounts("alias", "remove", "info@example.org")
    assert accounts.listed("alias") == []


def test_a_key_is_shown_once_and_can_be_revoked(accounts):
    accounts.add_ada()
    secret = accounts("key", "add", ADA, "--name", "wéb site").stdout.strip()
    other = json.loads(accounts("key", "add", ADA, "--json").stdout)
    assert other["user"] == ADA and other["password"] != secret
    listed = accounts("key", "list", "--json").stdout
    assert secret not in listed and secret.encode() not in (accounts.data / "accounts" / "accounts.db").read_bytes()
    first = next(key for key in json.loads(listed) if key["name"] == "wéb site")
    assert set(first) == {"id", "user", "name", "created"} and first["id"] in secret
    accounts("key", "revoke", first["id"])
    assert [key["name"] for key in accounts.listed("key")] == [""]
    accounts("user", "remove", ADA)
    assert accounts.listed("key") == []


@pytest.mark.parametrize("name", [b"\xff\xfe", b"two\nlines", b"\x1b[2J"])
def test_a_key_has_a_name_that_can_be_shown(accounts, name):
    accounts.add_ada()
    done = subprocess.run([str(PROGRAM), "key", "add", ADA, "--config", str(accounts.config), "--name", name], capture_output=True)
    assert done.returncode == 64 and done.stdout == b"" and accounts.listed("key") == []


def test_changes_count_at_once_for_a_running_server(mailboat):
    server = mailboat()
    server.add_user(ADA, PASSWORD)
    secret = server.cli("key", "add", ADA, "--name", "test").stdout.strip()

    def signs_in(password):
        import smtplib
        try:
            smtp(server, 587, user=ADA, password=password).quit()
            return True
        except smtplib.SMTPAuthenticationError:
            return False

    assert signs_in(PASSWORD) and signs_in(secret)
    server.cli("key", "revoke", json.loads(server.cli("key", "list", "--json").stdout)[0]["id"])
    assert not signs_in(secret) and signs_in(PASSWORD)
    server.cli("user", "passwd", ADA, text_input="another\n")
    assert not signs_in(PASSWORD) and signs_in("another")
    server.cli("user", "disable", ADA)
    assert not signs_in("another")
    server.cli("user", "enable", ADA)
    assert signs_in("another")


# ---- the configuration ----

def test_config_check_and_show(accounts, tmp_path):
    assert str(accounts.config) in accounts("config", "check").stdout
    shown = accounts("config", "show").stdout
    again = tmp_path / "again.conf"
    again.write_text(shown)
    assert run("config", "show", "--config", again).stdout == shown
    for key in ("hostname", "data_dir", "message_size: 50MiB", "port: 2525", "expire: 5d"):
        assert key in shown
    assert not accounts.data.exists()


def test_config_show_keeps_the_password_to_itself(accounts, tmp_path):
    (tmp_path / "password").write_text("very-secret\n")
    with accounts.config.open("a") as file:
        file.write(f"relay: {{via: smarthost, smarthost: {{host: smtp.example.net, user: u, password_file: {tmp_path}/password}}}}\n")
    shown = accounts("config", "show").stdout
    assert "smtp.example.net" in shown and f"{tmp_path}/password" in shown and "very-secret" not in shown


# ---- owners of files ----

def open_way(folder):
    """Lets other users enter pytest's folders."""
    for parent in [folder, *folder.parents]:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)


def as_nobody(*arguments):
    return ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *map(str, arguments)]


def owners(folder):
    return {(path.stat().st_uid, path.stat().st_gid) for path in [folder, *Path(folder).rglob("*")]}


@is_root
@pytest.mark.parametrize("there_already", [False, True])
def test_root_leaves_the_files_to_the_folder_s_owner(tmp_path, there_already):
    open_way(tmp_path)
    accounts = Accounts(tmp_path)
    accounts.data.mkdir()
    os.chown(accounts.data, NOBODY, NOBODY)
    if there_already:
        subprocess.run(as_nobody(PROGRAM, "domain", "add", "x.example", "--config", accounts.config), check=True, capture_output=True)
    secret = tmp_path / "password"
    secret.write_text("for root's eyes\n")
    secret.chmod(0o600)
    accounts("user", "add", ADA, "--password-file", secret)
    accounts("queue", "retry", "all")
    accounts("user", "list")
    assert owners(accounts.data) == {(NOBODY, NOBODY)}
    listed = subprocess.run(as_nobody(PROGRAM, "user", "list", "--config", accounts.config), capture_output=True, text=True)
    assert listed.returncode == 0 and ADA in listed.stdout


@is_root
def test_a_server_without_root_goes_on_while_root_adds_users(tmp_path, certificates):
    open_way(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    server = Mailboat(home / "server", certificates, wrapper=as_nobody())
    for file in certificates.iterdir():
        os.chmod(file, 0o644)
    open_way(certificates)
    os.chown(server.folder, NOBODY, NOBODY)
    server.start()
    try:
        server.add_user(ADA, PASSWORD)
        server.cli("user", "list")
        with smtp(server, 587, user=ADA, password=PASSWORD) as client:
            client.sendmail(ADA, [ADA], "Subject: still here\r\n\r\nyes\r\n")
        server.wait_log("delivered", f"to={ADA}")
        assert b"still here" in server.mail(ADA)[0]
    finally:
        server.stop(signal.SIGTERM)
    assert owners(server.data) == {(NOBODY, NOBODY)}


@is_root
def test_a_link_in_a_foreign_folder_leads_root_nowhere(tmp_path):
    open_way(tmp_path)
    accounts = Accounts(tmp_path)
    accounts.data.mkdir()
    target = tmp_path / "of-root"
    target.touch(mode=0o600)
    (accounts.data / "accounts.db").symlink_to(target)
    os.chown(accounts.data, NOBODY, NOBODY)
    os.lchown(accounts.data / "accounts.db", NOBODY, NOBODY)
    accounts.refused(77, "user", "list")
    assert target.stat().st_size == 0 and target.stat().st_uid == 0


# ---- the queue without a server ----

def test_a_person_s_word_on_the_queue_counts_when_no_server_runs(mailboat):
    server = mailboat(extra="queue: {hold: true}\n")
    server.add_user(ADA, PASSWORD)
    count = 300  # more than one page of the store
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        for number in range(count):
            client.sendmail(ADA, [ADA, f"b{number}@elsewhere.invalid"], "Subject: x\r\n\r\nhi\r\n")
    server.stop()
    listed = json.loads(server.cli("queue", "list", "--json").stdout)
    assert len({message["id"] for message in listed}) == count
    first, last = listed[0]["id"], listed[-1]["id"]
    assert json.loads(server.cli("queue", "hold", first, "--json").stdout) == {"recipients": 2}
    shown = json.loads(server.cli("queue", "show", first, "--json").stdout)
    assert [r["held"] for r in shown["recipients"]] == [True, True] and shown["sender"] == ADA
    server.cli("queue", "release", first.upper())
    server.cli("queue", "remove", last)
    again = server.cli("queue", "remove", last, check=False)
    assert again.returncode == 69 and again.stderr.count("\n") == 1 and last in again.stderr
    done = server.cli("queue", "remove", "all", "--json")
    assert json.loads(done.stdout) == {"recipients": 2 * (count - 1)} and done.stderr == ""
    assert "The queue is empty." in server.cli("queue", "list").stdout
    assert len({path.stat().st_uid for path in [server.data / "queue", *(server.data / "queue").rglob("*")]}) == 1
    server.start()  # a server then continues with the queue
    server.stop()


def test_a_catch_all_gets_what_nobody_else_has(mailboat):
    server = mailboat()
    for user in (ADA, "bob@example.org"):
        server.add_user(user, PASSWORD)
    server.cli("alias", "add", "@example.org", ADA)
    with smtp(server, 25, starttls=False) as client:
        for to in ("whoever", "bob", "bob+tag"):
            client.sendmail("x@elsewhere.net", [f"{to}@example.org"], f"Subject: to {to}\r\n\r\nhi\r\n")
    assert len(server.arrivals(ADA, "to whoever")) == 1
    assert len(server.arrivals("bob@example.org", "to bob")) == 1 and len(server.arrivals("bob@example.org", "to bob+tag")) == 1
    server.cli("alias", "remove", "@example.org")
    with smtp(server, 25, starttls=False) as client:
        client.ehlo()
        client.mail("x@elsewhere.net")
        assert client.rcpt("whoever@example.org")[0] == 550
