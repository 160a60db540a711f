# SPDX-License-Identifier: Apache-2.0
"""Commands typed at a terminal: a message by hand, a request for help, a misspelled word, a command without
the necessary rights."""
import os
import pty
import subprocess

import pytest

from mailboat import PROGRAM, run, until

NOBODY = 65534


class Terminal:
    """A command on its own terminal."""

    def __init__(self, *arguments, **options):
        self.end, theirs = pty.openpty()
        self.process = subprocess.Popen([str(PROGRAM), *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, **options)
        os.close(theirs)
        self.said = b""

    def wait_for(self, words):
        while words not in self.said:
            octets = os.read(self.end, 4096)  # OSError at the end
            assert octets
            self.said += octets

    def type(self, octets):
        os.write(self.end, octets)

    def finish(self):
        try:
            while octets := os.read(self.end, 4096):
                self.said += octets
        except OSError:
            pass
        os.close(self.end)
        return self.process.wait(30), self.said.decode()


@pytest.fixture
def server(mailboat):
    server = mailboat()
    server.add_user("ada@example.org", "secret-of-ada")
    return server


def hand(server, tmp_path, *more):
    return Terminal("send", "--host", "127.0.0.1", "--ports", f"{server.ports[587]}:starttls", "--ca-file", server.ca, "--user", "ada@example.org", "--to", "ada@example.org",
                    "--subject", "by hand", *more, env={**os.environ, "HOME": str(tmp_path)})


def test_a_message_by_hand(server, tmp_path):
    terminal = hand(server, tmp_path)
    terminal.wait_for(b"end it with ^D")
    terminal.type(b"how are you?\n\x04")
    terminal.wait_for(b"Password: ")
    terminal.type(b"secret-of-ada\n")
    code, said = terminal.finish()
    assert code == 0, said
    assert "New password" not in said and "Once more" not in said and said.count("Password:") == 1
    until(lambda: any(b"how are you?" in message for message in server.mail("ada@example.org")))


def test_with_a_body_only_the_password_is_asked_for(server, tmp_path):
    terminal = hand(server, tmp_path, "--body", "hello")
    terminal.wait_for(b"Password: ")
    terminal.type(b"not-her-password\n")
    code, said = terminal.finish()
    assert code == 77 and "^D" not in said, said


def test_a_whole_message_by_hand(server, tmp_path):
    terminal = Terminal("send", "-t", "--config", server.config)
    terminal.wait_for(b"its header first")
    terminal.type(b"From: ada@example.org\nTo: ada@example.org\nSubject: whole\n\nhello\n\x04")
    code, said = terminal.finish()
    assert code == 0, said


# ---- help ----

COMMANDS = ["demo", "doctor", "ports", "send", "serve", "settings", "config", "domain", "dns", "user", "alias", "key", "mailboxes", "queue", "explain", "sendmail", "checkpassword"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_where_it_is_looked_for(command):
    text = run(command, "--help").stdout
    assert text.startswith(f"usage: mailboat {command}")
    assert run("help", command).stdout == text
    if command not in ("sendmail", "checkpassword"):  # their arguments are defined by other programs
        assert run(command, "-h").stdout == text


def test_help_and_version_without_dashes():
    assert run("help").stdout == run("--help").stdout == run("-h").stdout
    assert run("version").stdout == run("--version").stdout == run("-V").stdout
    assert run("queue", "help").stdout == run("queue", "--help").stdout == run("queue", "list", "-h").stdout


@pytest.mark.parametrize("said, meant", [("prots", "ports"), ("port", "ports"), ("docter", "doctor"), ("qeueu", "queue"), ("usr", "user"), ("setings", "settings"), ("sedn", "send")])
def test_a_slip_in_a_command(said, meant):
    done = run(said, check=False)
    assert done.returncode == 64 and f"did you mean '{meant}'?" in done.stderr


def test_a_slip_in_a_verb_and_in_an_option():
    done = run("queue", "lsit", check=False)
    assert done.returncode == 64 and "did you mean 'list'?" in done.stderr
    done = run("ports", "--jsn", "localhost", check=False)
    assert done.returncode == 64 and "did you mean --json?" in done.stderr
    done = run("zzzzzzzz", check=False)
    assert done.returncode == 64 and "did you mean" not in done.stderr


def test_a_port_behind_its_host(server):
    port = server.ports[587]
    for target in (["127.0.0.1", str(port)], [f"127.0.0.1:{port}"]):
        done = run("ports", "--json", "--ca-file", str(server.ca), *target, check=False)
        assert f'"port":{port}' in done.stdout and '"target":"127.0.0.1:' in done.stdout, done.stdout
    done = run("ports", str(port), check=False)
    assert done.returncode == 64 and "name its host first" in done.stderr


# ---- another user ----

AS_NOBODY = [("config", "check"), ("config", "show"), ("user", "list"), ("user", "add", "x@example.org"), ("user", "locks"), ("alias", "list"), ("domain", "list"),
             ("domain", "add", "a.example"), ("queue", "list"), ("queue", "stats"), ("queue", "retry", "all"), ("mailboxes", "setup"), ("serve",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("command", AS_NOBODY, ids=" ".join)
def test_another_user_gets_the_true_reason(command, certificates, tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    for parent in (folder, *folder.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    key, config, certificate = folder / "server.key", folder / "mailboat.conf", folder / "server.pem"
    certificate.write_bytes((certificates / "server.pem").read_bytes())
    key.write_bytes((certificates / "server.key").read_bytes())
    key.chmod(0o600)
    config.write_text(f"hostname: mx.example.org\ndata_dir: {folder}/data\ndomains: [example.org]\n"
                      f"tls:\n  certificate: {certificate}\n  key: {key}\n")
    config.chmod(0o644)

    def as_nobody():
        return subprocess.run([str(PROGRAM), *command, "--config", str(config)], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
    done = as_nobody()
    assert done.returncode == 77 and f"only root may read {key}" in done.stderr, done.stderr
    assert "omit" not in done.stderr and "create" not in done.stderr
    config.chmod(0o600)
    done = as_nobody()
    assert done.returncode == 77 and f"only root may read {config}" in done.stderr and "create" not in done.stderr, done.stderr
