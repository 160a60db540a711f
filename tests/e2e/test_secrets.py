# SPDX-License-Identifier: Apache-2.0
"""Each secret is only in the process that needs it: the memory of every process is searched after each event
that starts processes or moves secrets. Also checks the files that a process can still open."""
import base64
import json
import os
import re
import signal
import smtplib
import sqlite3
import subprocess
from pathlib import Path

import pytest

from faults import Board
from mailboat import free_port, smtp, until
from plain_peer import Peer, away_to
from signing_keys import Keys

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to read the memory of others")

USER, PASSWORD = "ada@example.org", "long-password-of-ada"
CHILDREN = {"smtpd", "auth", "queue", "relay", "local", "pickup", "web", "sign", "report"}
ALL = CHILDREN | {"supervisor"}
DATA_OF_OTHERS = {"[vvar]", "[vvar_vclock]", "[vsyscall]", "[vdso]"}


def memory(pid):
    """Yields all readable memory of a process, region by region."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as octets:
        for line in maps:
            where, rights, _, _, inode, *name = line.split(maxsplit=5)
            if "r" not in rights or (name and name[0].strip() in DATA_OF_OTHERS):
                continue
            start, end = (int(x, 16) for x in where.split("-"))
            try:
                octets.seek(start)
                yield octets.read(end - start)
            except (OSError, ValueError):
                continue


def pids_of(server):
    return {**server.processes(), "supervisor": [server.process.pid]}


def found(server, secrets):
    """Returns secret -> the roles in whose memory it is."""
    where = {name: set() for name in secrets}
    for role, pids in pids_of(server).items():
        for pid in pids:
            try:
                regions = list(memory(pid))
            except (FileNotFoundError, ProcessLookupError):  # after a reload one of before ends at its own time
                continue
            if pid not in server.processes().get(role, [server.process.pid]):
                continue
            assert sum(map(len, regions)) > 1 << 20, f"the memory of {role} cannot be read"
            for name, octets in secrets.items():
                if any(octets in region for region in regions):
                    where[name].add(role)
    return where


def check(server, secrets, moment):
    """Checks that each secret is only where it may be, and is where it must be."""
    where = found(server, {name: octets for name, (octets, _, _) in secrets.items()})
    for name, (_, may, must) in secrets.items():
        assert where[name] <= may, f"{moment}: {name} is in the memory of {sorted(where[name] - may)}"
        assert must <= where[name], f"{moment}: {name} is not in the memory of {sorted(must - where[name])}: the test looks for the wrong thing"


def private_number(key):
    """Returns the private number of a key on P-256, as octets."""
    text = subprocess.run(["openssl", "ec", "-in", str(key), "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    digits = re.search(r"priv:\s*((?:\s*[0-9a-f]{2}:?)+)", text).group(1)
    return bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits))[-32:]


def secrets_of_key(key, may, must):
    """Returns the key's secrets: as OpenSSL stores it in memory, as it is written, and as in the file."""
    number = private_number(key)
    lines = Path(key).read_text().splitlines()
    return {"the TLS key, turned around": (number[::-1], may, must), "the TLS key": (number, may, set()), "the TLS key's file": (lines[1].encode(), may, set())}


def secrets_of_accounts(server):
    with sqlite3.connect(f"file:{server.data}/accounts/accounts.db?mode=ro", uri=True) as accounts:
        password, scram = accounts.execute("SELECT password, scram FROM user WHERE address = ?", (USER,)).fetchone()
        keys = accounts.execute("SELECT hash, scram FROM key").fetchall()
        salt, = accounts.execute("SELECT octets FROM secret WHERE name = 'salt'").fetchone()
    some = {"a user's hash": password.encode()[-30:], "the salts' secret": salt}
    if scram:
        some |= {"a stored key": scram[:32], "a server key": scram[32:64]}
    for i, (hash_, scram) in enumerate(keys):
        some[f"hash of key {i}"] = hash_
        if scram:
            some[f"stored key of key {i}"] = scram[:32]
    return {name: (octets, {"auth"}, set()) for name, octets in some.items()}


def sign_in(server, password=PASSWORD):
    with smtp(server, 587, user=USER, password=password) as client:
        client.sendmail(USER, ["bob@elsewhere.net"], f"From: {USER}\r\nSubject: hello\r\n\r\nhello\r\n")


def readable(folder):
    folder.chmod(0o755)
    for parent in folder.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)


def reload(server):
    since = len(server.log)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded", since=since)


def kill_and_wait(server, role):
    before = set(server.processes()[role])
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    fresh = lambda: (now := server.processes().get(role, [])) and not before & set(now)
    until(fresh)
    assert fresh()
    server.cli("queue", "stats")  # the server still works


# The processes with the smarthost's password: with each option only relay, after its first use.
WAYS = {"password_file": "mark-of-the-password-file", "password_command": "mark-printed-as-a-password", "token_command": "mark-printed-as-a-token"}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_lies_in_one_process(mailboat, certificates, tmp_path, way):
    peer = Peer(certificates)
    peer.knows = ["AUTH PLAIN XOAUTH2"]
    secret, mark = tmp_path / "secret", WAYS[way]
    secret.write_text(mark + "\nsecond-line-of-the-file\n")
    readable(tmp_path)
    value = str(secret) if way == "password_file" else f"cat {secret} # mark-in-the-command-itself"
    server = mailboat(relay=f"relay:\n  via: smarthost\n  ca_file: {certificates}/ca.pem\n  smarthost: {{host: 127.0.0.1, port: {peer.port}, tls: implicit, "
                            f"user: {USER}, {way}: {json.dumps(value)}}}\n",
                      extra=f"web: {{address: 127.0.0.1, port: {free_port()}, tls_port: {free_port()}}}\n", limits="processes: {smtpd: 2}\n",
                      environment={"TOKEN_FOR_COMMANDS": "mark-in-the-environment"})
    known = {"the smarthost's password": (mark.encode(), {"relay"}, {"relay"} if way == "password_file" else set()),
             "what is behind it": (b"second-line-of-the-file", set(), set()),
             "the command": (b"mark-in-the-command-itself", {"supervisor"}, set() if way == "password_file" else {"supervisor"}),
             "what the user typed": (PASSWORD.encode(), {"smtpd", "auth"}, set()),
             "the environment": (b"mark-in-the-environment", {"supervisor"}, {"supervisor"}),
             **secrets_of_key(certificates / "server.key", {"smtpd", "web"}, {"smtpd", "web"})}
    assert set(pids_of(server)) == ALL
    check(server, known, "after the start")
    server.add_user(USER, PASSWORD)
    key = server.cli("key", "add", USER, "--name", "phone").stdout.split()
    check(server, known | secrets_of_accounts(server), "after user add")
    with sqlite3.connect(server.data / "accounts" / "accounts.db") as accounts:  # as before SCRAM was supported
        accounts.execute("UPDATE user SET scram = NULL")
    sign_in(server)
    server.wait_log("scram_verifier_stored")
    server.wait_log("delivered", "to=bob@elsewhere.net")
    if way != "password_file":
        known["the smarthost's password"] = (mark.encode(), {"relay"}, {"relay"})
    everything = known | secrets_of_accounts(server)
    assert "a stored key" in everything and len(everything) >= 12
    everything["a user's hash"] = everything["a user's hash"][:2] + ({"auth"},)
    check(server, everything, "after a sign-in")
    known["the smarthost's password"] = everything["the smarthost's password"] = (mark.encode(), {"relay"}, {"relay"} if way == "password_file" else set())
    everything["a user's hash"] = everything["a user's hash"][:2] + (set(),)
    reload(server)
    check(server, everything, "after a reload")
    sign_in(server)
    server.wait_log("delivered", "to=bob@elsewhere.net", count=2)
    for role in sorted(CHILDREN if way == "password_file" else {"relay"}):
        kill_and_wait(server, role)
        check(server, everything, f"after {role} died")
    reload(server)
    reload(server)
    server.cli("user", "add", "eve@example.org", "--password-stdin", text_input="another-password\n")
    check(server, everything | secrets_of_accounts(server), "in the end")
    assert key
    peer.listener.close()


def test_a_certificate_of_its_own_is_made_where_no_other_process_sees_its_key(mailboat, certificates, tmp_path):
    server = mailboat()
    server.config.write_text(re.sub(r"tls:\n  certificate: .*\n  key: .*\n", "", server.config.read_text()))
    server.stop()
    server.write_config = lambda: None
    server.start()
    made = server.data / "keys" / "tls" / "self-signed.key"
    for moment in ("after the start", "after a reload"):
        check(server, secrets_of_key(made, {"smtpd"}, {"smtpd"}), moment)
        reload(server)


def secrets_of_signing_key(file, name):
    """Returns the secrets of a DKIM key as `check` takes them: its number as OpenSSL stores it in memory, as it is
    written, and as in the file."""
    text = subprocess.run(["openssl", "pkey", "-in", str(file), "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    digits = re.search(r"(?:prime1|priv):\s*((?:\s*[0-9a-f]{2}:?)+)", text).group(1)
    number = bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits)).lstrip(b"\0")
    line = file.read_text().splitlines()[1].encode()
    is_rsa = "prime1" in text
    return {f"{name}, turned around": (number[::-1], {"sign"}, {"sign"} if is_rsa else set()), f"{name}": (number, {"sign"}, set() if is_rsa else {"sign"}),
            f"{name}'s file": (line[-40:], {"sign"}, set())}


def test_keys_that_sign_are_in_the_process_that_signs(mailboat, peer):
    server = mailboat(relay=away_to(peer.port), trust="")
    server.add_user(USER, PASSWORD)
    keys = Keys(server).add("example.org", "one").add("example.org", "two", "ed25519", number=2)
    folder, known = server.data / "keys" / "example.org", {}
    assert keys.text("one._domainkey.example.org")
    for name in ("one", "two"):
        known |= secrets_of_signing_key(folder / f"{name}.pem", f"the key {name}")
    check(server, {name: (octets, set(), set()) for name, (octets, _, _) in known.items()}, "before it is read")
    for moment in ("after the start", "after a reload"):
        reload(server)
        until(lambda: len(server.processes().get("sign", [])) == 1)
        check(server, known, moment)
        count = len(peer.letters)
        sign_in(server)
        until(lambda: len(peer.letters) > count)
        assert peer.letters[count][1].count(b"DKIM-Signature: ") == 2
        check(server, known, f"{moment}, and a signature")
    kill_and_wait(server, "sign")
    check(server, known, "after sign died")
    # a key that the server makes, and that a command makes while it runs
    made = server.cli("dkim", "rotate", "example.org", "--selector", "three", "--algorithm", "rsa", check=False)
    assert made.returncode == 0, made.stderr
    check(server, {name: (octets, set(), set()) for name, (octets, _, _) in secrets_of_signing_key(folder / "three.pem", "the key three").items()}, "a key that does not sign yet")


def test_a_password_file_is_checked_and_not_kept(mailboat, certificates, tmp_path):
    """An invalid password is rejected immediately, with one line, and a reload then changes nothing."""
    secret = tmp_path / "secret"
    secret.write_text("first-password\n")
    server = mailboat(relay=f"relay:\n  via: smarthost\n  smarthost: {{host: localhost, user: u, password_file: {secret}}}\n")
    for text, words in [(b"", "first line is empty"), (b"\nsecond\n", "first line is empty"), (b"x" * 8193, "longer than 8192"), (b"a\0b\n", "NUL"), (None, "No such file")]:
        if text is None:
            secret.unlink()
        else:
            secret.write_bytes(text)
        done = server.cli("config", "check", check=False)
        assert done.returncode == 78 and words in done.stderr and str(secret) in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and "mailboat.conf:" in done.stderr
        since = len(server.log)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("reload_failed", since=since)
    for text in (b"x" * 8192, b"x" * 8192 + b"\r\n", b"no-end", b"with spaces and \xc3\xa9\n"):
        secret.write_bytes(text)
        assert server.cli("config", "check").returncode == 0
    assert "first-password" not in server.cli("config", "show").stdout


# ---- files that can still be opened ----

def roots(server):
    return {role: {os.readlink(f"/proc/{pid}/root") for pid in pids} for role, pids in server.processes().items()}


def test_processes_have_an_empty_root(mailboat, tmp_path):
    server = mailboat(extra=f"web: {{address: 127.0.0.1, port: {free_port()}}}\n", trust="")
    data, empty = str(server.data), str(server.data / "empty")
    wanted = {"auth": {data}, "report": {data}} | {role: {empty} for role in ("smtpd", "relay", "web", "trust", "sign")} | {role: {"/"} for role in ("queue", "local", "pickup")}
    facts = os.stat(empty)
    assert facts.st_uid == 0 and facts.st_mode & 0o777 == 0o555 and os.listdir(empty) == []
    assert roots(server) == wanted
    for role in sorted(CHILDREN):
        assert wanted[role] == {"/"} or all(os.readlink(f"/proc/{pid}/cwd") in wanted[role] for pid in server.processes()[role])
        kill_and_wait(server, role)
    reload(server)
    assert roots(server) == wanted
    assert os.readlink(f"/proc/{server.process.pid}/root") == "/"


def test_an_empty_folder_that_others_can_write_to_is_none(mailboat):
    server = mailboat()
    server.stop()
    (server.data / "empty").chmod(0o777)
    server.start(wait=False)
    assert server.ended() == 77
    assert any(str(server.data / "empty") in line and "chmod" in line for line in server.log), server.log
    (server.data / "empty").chmod(0o555)
    os.chown(server.data / "empty", 61841, 61841)
    server.start(wait=False)
    assert server.ended() == 77


def test_without_the_capability_it_is_said_and_all_else_holds(mailboat):
    server = mailboat(wrapper=["setpriv", "--bounding-set=-sys_chroot", "--inh-caps=-sys_chroot"])
    assert server.lines("capability_missing", "CAP_SYS_CHROOT")
    assert set().union(*roots(server).values()) == {"/"}
    assert all("Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text() for pids in server.processes().values() for pid in pids)
    server.add_user(USER, PASSWORD)
    assert try_to_send(server, "hello") and len(server.arrivals(USER, "hello")) == 1


def test_no_open_folder_leads_out_of_a_root(mailboat):
    """openat() of ".." from an open folder reaches the parent folders, up to the root directory if that is above it."""
    server = mailboat(extra=f"web: {{address: 127.0.0.1, port: {free_port()}}}\n")
    for role, pids in server.processes().items():
        for pid in pids:
            root = os.readlink(f"/proc/{pid}/root")
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                if descriptor.is_dir():
                    assert f"{os.readlink(descriptor)}/".startswith(f"{root.rstrip(chr(47))}/"), (role, os.readlink(descriptor), root)


def test_memory_that_runs_is_none_that_is_written_to(mailboat):
    server = mailboat()
    for role, pids in pids_of(server).items():
        for pid in pids:
            both = [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.split()[1].startswith("rwx")]
            assert not both, (role, both)


# ---- a call that the sandbox does not allow ----

@pytest.fixture
def board(tmp_path):
    tmp_path.chmod(0o755)
    return Board(tmp_path / "board")


@pytest.mark.parametrize("role", ["smtpd", "auth", "queue", "local"])
def test_a_forbidden_call_ends_a_process_and_the_log_names_it(mailboat, board, role):
    """It is restarted each time, and mail is still delivered."""
    server = mailboat(environment=board.environment(), limits="processes: {smtpd: 1}\n")
    server.may_break_the_sandbox = True
    server.add_user(USER, PASSWORD)
    victim = server.processes()[role][0]
    with board.fail("forbidden", role, times=3):
        for count in (1, 2, 3):
            try:
                with smtp(server, 25, starttls=False) as client:
                    client.sendmail("bob@elsewhere.net", [USER], f"Subject: number {count}\r\n\r\nhi\r\n")
            except (OSError, smtplib.SMTPException):
                pass
            server.wait_log("process_died", f"role={role}", "signal=31", "call=chroot", "its sandbox does not allow", count=count)
    assert len(server.lines("process_died", f"role={role}")) == 3
    until(lambda: server.processes().get(role, [victim]) != [victim])
    until(lambda: try_to_send(server, "at last"))
    assert len(server.arrivals(USER, "at last")) >= 1


def test_a_certificate_that_nobody_knows_ends_no_process(mailboat, certificates, tmp_path):
    """OpenSSL looks up the issuer in a folder by its hash: any server that receives mail can cause that."""
    peer = Peer(certificates)
    peer.knows = ["AUTH PLAIN"]
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    server = mailboat(relay=f"relay:\n  via: smarthost\n  smarthost: {{host: 127.0.0.1, port: {peer.port}, tls: implicit, user: u, password_file: {secret}}}\n")
    server.add_user(USER, PASSWORD)
    sign_in(server)
    server.wait_log("deferred", "to=bob@elsewhere.net", "certificate")
    assert not server.lines("process_died")
    peer.listener.close()


def try_to_send(server, subject):
    try:
        with smtp(server, 25, starttls=False) as client:
            return not client.sendmail("bob@elsewhere.net", [USER], f"Subject: {subject}\r\n\r\nhi\r\n")
    except (OSError, smtplib.SMTPException):
        return False
