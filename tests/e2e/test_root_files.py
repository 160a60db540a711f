# SPDX-License-Identifier: Apache-2.0
"""Root and the directories of the server's processes: files that a process, or an attacker who controls it,
plants there never make root change, give away, remove or wait for anything. (Similar bugs: CVE-2020-28007 and
the others of Exim's 21Nails, CVE-2020-8793 and the offline directory of OpenSMTPD.)"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from mailboat import PROGRAM, Mailboat, run, smtp

ADA, PASSWORD = "ada@example.org", "correct horse battery staple"
EVE = 31337
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has processes with users of their own")


def snapshot(folder):
    """Returns everything that could change visibly: names, kinds, owners, modes, change times, contents."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        facts = path.lstat()
        found[str(path)] = (facts.st_mode, facts.st_uid, facts.st_gid, facts.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


class Outside:
    """Files of root beside the data directory, on the same file system."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "folder").mkdir(parents=True)
        (folder / "file").write_text("of root\n")
        (folder / "file").chmod(0o600)
        (folder / "folder" / "inner").write_text("of root too\n")
        (folder / "database").write_bytes(b"SQLite format 3\0")
        self.before = snapshot(folder)

    def is_untouched(self):
        assert snapshot(self.folder) == self.before


KINDS = {
    "link to a file": lambda path, out: path.symlink_to(out.folder / "file"),
    "link to nothing": lambda path, out: path.symlink_to(out.folder / "folder" / "fresh"),
    "link to a folder": lambda path, out: path.symlink_to(out.folder / "folder"),
    "second name": lambda path, out: os.link(out.folder / "file", path),
    "fifo": lambda path, out: os.mkfifo(path, 0o666),
    "folder": lambda path, out: path.mkdir(),
}
FEW = ["link to a file", "link to a folder", "fifo"]
PLACES = {"relay/mta-sts": KINDS, "relay/mta-sts.new": KINDS, "queue/lock": KINDS, "queue/mailboat.db": KINDS, "queue/mailboat.db-wal": FEW, "queue/mailboat.db-shm": FEW,
          "queue/control.sock": KINDS, "queue/spool": KINDS, "queue/content": FEW, "mail/example.org": FEW, "mail/example.org/ada": FEW, "mail/example.org/ada/Maildir": FEW,
          "mail/example.org/ada/Maildir/new": FEW, "mail/example.org/ada/Maildir/maildirsize": KINDS, "drop/fresh": KINDS, "drop/.fresh": FEW}
COMMANDS = [("user", "list"), ("user", "quota", ADA), ("user", "quota", ADA, "1GiB"), ("user", "disable", ADA), ("user", "enable", ADA), ("alias", "list"), ("key", "list"),
            ("domain", "list"), ("queue", "list"), ("queue", "retry", "--all"), ("queue", "stats"), ("config", "check"), ("mailboxes", "setup"),
            ("doctor", "--target", "127.0.0.1:9", "--json")]


def run_all(server, room):
    """Runs an administrator's subcommands that read this directory: each must exit, with at most two lines of error."""
    rooms = {"relay": COMMANDS[:1], "queue": [c for c in COMMANDS if c[0] == "queue"], "mail": [*COMMANDS[:3], COMMANDS[-1]], "drop": COMMANDS[:1]}
    for command in rooms[room]:
        done = server.cli(*command, check=False, timeout=30)
        assert done.returncode in (0, 1, 65, 67, 69, 73, 74, 75, 77, 78), (command, done)
        assert done.stderr.count("\n") <= 2 and "AddressSanitizer" not in done.stderr, (command, done.stderr)
    program = server.folder / "sendmail"
    program.unlink(missing_ok=True)
    program.symlink_to(PROGRAM)
    subprocess.run([program, "-C", server.config, "-bp"], capture_output=True, timeout=30)
    subprocess.run([program, "-C", server.config, "-f", ADA, ADA], input=b"Subject: by root\n\nhi\n", capture_output=True, timeout=30)


def begin(server):
    """Starts the server; returns True when it is ready, or its error if it has exited."""
    server.start(wait=False)
    with server.changed:
        assert server.changed.wait_for(lambda: server.lines("ready") or server.log[-1:] == ["(end of log)"], 30), server.log
    if server.lines("ready"):
        return True
    code = server.process.wait(30)
    server.process = None
    assert code in (65, 69, 70, 71, 73, 74, 75, 77, 78)
    return "\n".join(line for line in server.log if "start_failed" in line or line.startswith("mailboat serve:"))


@pytest.fixture(scope="module")
def used(tmp_path_factory, certificates):
    """The data directory of a server that has a user and has delivered a message."""
    server = Mailboat(tmp_path_factory.mktemp("used"), certificates)
    server.start()
    server.add_user(ADA, PASSWORD)
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [ADA], "Subject: first\r\n\r\nhi\r\n")
    server.wait_log("delivered", f"to={ADA}")
    server.stop()
    return server.data


@pytest.fixture
def stopped(tmp_path, certificates, used):
    """A copy of that directory, and the files that must not change."""
    server = Mailboat(tmp_path / "server", certificates)
    server.write_config()
    subprocess.run(["cp", "-a", used, server.data], check=True)
    yield server, Outside(tmp_path / "outside")
    server.stop()


def plant(server, place, kind, out):
    """Plants a file as the owner of the folder could."""
    path = server.data / place
    owner = path.parent.stat() if path.parent.exists() else None
    if path.is_symlink() or path.is_file() or path.exists() and not path.is_dir():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    KINDS[kind](path, out)
    if kind != "second name":
        os.lchown(path, owner.st_uid, owner.st_gid)
    out.before = snapshot(out.folder)


@pytest.mark.parametrize("place, kind", [(place, kind) for place, kinds in PLACES.items() for kind in kinds])
def test_what_is_planted_leads_root_nowhere(stopped, place, kind):
    server, out = stopped
    room = place.split("/")[0]
    plant(server, place, kind, out)
    run_all(server, room)
    out.is_untouched()
    ready = begin(server)
    if ready is not True:
        assert str(server.data / room) in ready, ready
    else:
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("reloaded")
        run_all(server, room)
        assert server.stop() == 0
    out.is_untouched()


def test_a_planted_policy_file_is_replaced_and_told(stopped):
    server, out = stopped
    plant(server, "relay/mta-sts", "link to a file", out)
    assert begin(server) is True
    assert server.lines("sts_cache_read_failed", "relay", "mta-sts")
    assert (server.data / "relay/mta-sts").is_file() and not (server.data / "relay/mta-sts").is_symlink()
    out.is_untouched()


def test_the_accounts_are_a_file(stopped):
    server, out = stopped
    (server.data / "accounts" / "accounts.db").rename(server.data / "kept")
    for make in (lambda p: p.symlink_to(out.folder / "database"), lambda p: os.mkfifo(p)):
        make(server.data / "accounts" / "accounts.db")
        done = server.cli("user", "list", check=False, timeout=30)
        assert done.returncode == 77 and "accounts.db" in done.stderr and done.stderr.count("\n") == 1
        assert "accounts.db" in begin(server)
        (server.data / "accounts" / "accounts.db").unlink()
    out.is_untouched()


# ---- owner of the data directory ----

@pytest.fixture
def refused(tmp_path, certificates):
    """Checks that serve, config check and a subcommand that writes print the same line."""
    def check(data, *words, code=77):
        server = Mailboat(tmp_path / "server", certificates)
        server.data = data
        server.write_config()
        for command in (("serve",), ("config", "check"), ("user", "add", ADA, "--password-stdin")):
            done = server.cli(*command, check=False, text_input=PASSWORD + "\n", timeout=30)
            assert done.returncode == code, (command, done)
            line = done.stderr.splitlines()[-1]
            assert all(str(word) in line for word in words), (command, line)
    return check


def other_folder(path, mode=0o755, owner=0):
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, owner, owner)
    path.chmod(mode)
    return path


def test_a_stranger_s_parent_is_refused(tmp_path, refused):
    home = other_folder(tmp_path / "home", owner=EVE)
    refused(home / "data", home, EVE, "chown root")
    other_folder(home / "below")
    refused(home / "below" / "data", home, EVE)


@pytest.mark.parametrize("mode, fix", [(0o775, "chmod g-w"), (0o777, "chmod go-w"), (0o2775, "chmod g-w"), (0o757, "chmod go-w")])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path, refused, mode, fix):
    refused(other_folder(tmp_path / "open", mode) / "data", tmp_path / "open", fix)
    refused(other_folder(tmp_path / "data", mode), tmp_path / "data", fix)


def test_a_sticky_folder_is_fine_above_and_not_as_the_directory(tmp_path, refused, certificates):
    common = other_folder(tmp_path / "common", 0o1777)
    refused(common, common, "chmod go-w")
    server = Mailboat(tmp_path / "fine", certificates)
    server.data = common / "data"
    server.start().stop()
    os.chown(common / "data", EVE, EVE)
    done = server.cli("serve", check=False, timeout=30)
    assert done.returncode == 77 and str(EVE) in done.stderr and f"chown root {common}/data" in done.stderr


def test_an_administrator_s_link_is_followed_and_another_s_is_not(tmp_path, certificates):
    real = other_folder(tmp_path / "disk")
    (tmp_path / "link").symlink_to(real)
    server = Mailboat(tmp_path / "server", certificates)
    server.data = tmp_path / "link" / "data"
    server.start()
    server.add_user(ADA, PASSWORD)
    server.stop()
    assert (real / "data" / "accounts" / "accounts.db").is_file()
    mail = other_folder(tmp_path / "mail-disk")  # as on a machine with a separate disk for mail
    (real / "data" / "mail").rename(real / "data" / "mail-before")
    (real / "data" / "mail").symlink_to(mail)
    server.start()
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [ADA], "Subject: far\r\n\r\nhi\r\n")
    server.wait_log("delivered", f"to={ADA}")
    server.stop()
    assert (mail / "example.org/ada/Maildir/new").is_dir()
    os.lchown(tmp_path / "link", EVE, EVE)
    done = server.cli("serve", check=False, timeout=30)
    assert done.returncode == 77 and str(tmp_path / "link") in done.stderr and str(EVE) in done.stderr


def test_a_disk_that_is_not_mounted_is_not_made_up_for(tmp_path, certificates):
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    server = Mailboat(tmp_path / "server", certificates)
    server.data = tmp_path / "link" / "data"
    server.write_config()
    assert server.cli("serve", check=False, timeout=30).returncode in (66, 73)
    assert not (tmp_path / "disk").exists()


@pytest.mark.parametrize("umask", [0o077, 0o027])
@pytest.mark.parametrize("first", ["serve", "user add"])
def test_a_strict_umask_makes_a_directory_that_can_be_used(tmp_path, certificates, umask, first):
    server = Mailboat(tmp_path / "server", certificates)
    server.data = server.folder / "above" / "data"
    server.write_config()
    before = os.umask(umask)
    try:
        if first == "user add":
            server.add_user("ada@example.org", "secret-of-ada")
        server.start()
    finally:
        os.umask(before)
    try:
        assert [folder.stat().st_mode & 0o7777 for folder in (server.data.parent, server.data, server.data / "queue")] == [0o755, 0o755, 0o700]
        if first == "serve":
            server.add_user("ada@example.org", "secret-of-ada")
        with smtp(server, 587, user="ada@example.org", password="secret-of-ada") as client:
            client.sendmail("ada@example.org", ["ada@example.org"], "From: ada@example.org\r\nSubject: strict\r\n\r\nhi\r\n")
        assert server.arrivals("ada@example.org", "strict")
    finally:
        assert server.stop() == 0


def test_without_root_one_s_own_directory_is_fine(tmp_path, certificates):
    as_eve = ["setpriv", "--reuid", str(EVE), "--regid", str(EVE), "--clear-groups"]
    server = Mailboat(tmp_path / "server", certificates, wrapper=as_eve)
    os.chown(server.folder, EVE, EVE)
    certificates.chmod(0o755)
    server.start()
    assert server.stop() == 0
    done = subprocess.run([*as_eve, PROGRAM, "config", "check", "--config", server.config], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    os.chown(server.data / "queue", EVE + 1, EVE + 1)
    done = subprocess.run([*as_eve, PROGRAM, "serve", "--config", server.config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 77 and f"{server.data}/queue belongs to user {EVE + 1}" in done.stderr and "chown -R" in done.stderr


# ---- folders with other user numbers ----

def owners(folder):
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


def give(folder, uid):
    for path in [folder, *folder.rglob("*")]:
        os.lchown(path, uid, uid)


ROLES = {"queue": 3, "relay": 4, "mail": 5, "drop": 6}


@pytest.mark.parametrize("first", [61840, 61000])
def test_folders_of_numbers_that_stood_in_are_handed_over(stopped, first):
    server, out = stopped
    now = {name: (server.data / name).stat().st_uid for name in ROLES}
    for name, role in ROLES.items():
        give(server.data / name, first + role)
    subprocess.run([PROGRAM, "user", "list", "--config", server.config], check=True, capture_output=True)
    assert (server.data / "queue").stat().st_uid == first + 3  # a subcommand leaves that to the server
    server.start()
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [ADA], "Subject: second\r\n\r\nhi\r\n")
    server.wait_log("delivered", f"to={ADA}")
    server.stop()
    for name in ROLES:
        assert owners(server.data / name) == {now[name]}, name
    assert len(server.mail(ADA)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_the_former_owner_s_is_not_handed_over(stopped, kind):
    server, out = stopped
    former = 61840 + 5
    give(server.data / "mail", former)
    planted = server.data / "mail" / "example.org" / "planted"
    KINDS[kind](planted, out)
    if kind != "second name":
        os.lchown(planted, former, former)
    out.before = snapshot(out.folder)
    said = begin(server)
    if kind == "second name":
        assert said is not True and f"{planted} belongs to user root (0)" in said, said
    out.is_untouched()


@pytest.mark.parametrize("owner", [0, 5000000])
def test_a_folder_of_a_number_that_never_stood_in_is_refused_with_the_fix(stopped, owner):
    """A backup restored by root, a volume of another machine's user: only an administrator can decide."""
    server, out = stopped
    give(server.data / "mail", owner)
    assert f"chown -R {90160 + 5}:{90160 + 5} {server.data}/mail" in begin(server)
    assert owners(server.data / "mail") == {owner}
    give(server.data / "mail", 90160 + 5)
    assert begin(server) is True


def test_what_belongs_to_another_inside_is_named_at_the_start_and_by_the_delivery(stopped):
    """Mailboxes of a machine with other user numbers, below a folder with the right one."""
    server, out = stopped
    user = (server.data / "mail").stat().st_uid
    home = server.data / "mail" / "example.org"
    give(home, EVE)
    lock = server.data / "queue" / "lock"
    os.lchown(lock, EVE, EVE)
    assert f"cannot open {lock}: Permission denied" in begin(server)  # a process that needs the file
    queue = (server.data / "queue").stat().st_uid
    assert server.lines("owner_mismatch", f"path={lock} ", f"chown -R {queue}:{queue} {server.data}/queue")
    os.lchown(lock, queue, queue)
    assert begin(server) is True
    told = server.lines("owner_mismatch", f"path={home} ", f'owner={EVE} uid={user} hint="as root: chown -R {user}:{user} {server.data}/mail"')
    assert len(told) == 1 and len(server.lines("owner_mismatch")) == 1
    with smtp(server, 587, user=ADA, password=PASSWORD) as client:
        client.sendmail(ADA, [ADA], "Subject: second\r\n\r\nhi\r\n")
    why = f"Permission denied: {home} belongs to user {EVE}, not to {user}; as root: chown -R {user}:{user} {server.data}/mail"
    server.wait_log("deferred", why)
    assert why in " ".join(server.cli("queue", "list").stdout.split()) or why in server.cli("queue", "list", "--json").stdout
    give(home, user)
    server.cli("queue", "retry", "--all")
    server.wait_log("delivered", f"to={ADA}")


def test_an_empty_disk_of_root_s_is_taken(stopped):
    server, out = stopped
    shutil.rmtree(server.data / "mail")
    (server.data / "mail" / "lost+found").mkdir(parents=True, mode=0o700)
    assert begin(server) is True
    assert (server.data / "mail").stat().st_uid != 0 and (server.data / "mail/lost+found").stat().st_uid == 0


def test_a_folder_of_another_user_is_refused_with_the_fix(stopped):
    server, out = stopped
    give(server.data / "relay", 1)  # a user with a name
    for command in (("serve",), ("config", "check")):
        done = server.cli(*command, check=False, timeout=30)
        assert done.returncode == 77 and f"{server.data}/relay belongs to user daemon (1)" in done.stderr and "chown -R" in done.stderr
    assert owners(server.data / "relay") == {1}


# ---- every call ----

CALLS = ("open,openat,openat2,creat,chown,lchown,fchownat,chmod,fchmodat,?fchmodat2,rename,renameat,renameat2,mkdir,mkdirat,rmdir,unlink,unlinkat,link,linkat,symlink,symlinkat,"
         "truncate,mknod,mknodat,utimensat,bind,setresuid,setuid,setreuid,execve,clone,clone3,fork,vfork")


def joined(trace):
    """Joins calls that strace splits into two lines when another process makes a call in between."""
    begun = {}
    for line in trace:
        pid, _, rest = line.partition(" ")
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r" *<\.\.\. \w+ resumed>(.*)", rest)
        yield f"{pid} {begun.pop(pid, '')}{resumed.group(1)}" if resumed else line


def calls_of_root(trace):
    """Returns (call, arguments) of processes that run as root (effective user). strace -f -y writes
    `PID call(arguments) = result`."""
    lines = [m.groups() for m in (re.match(r"(\d+) +(\w+)\((.*)\) += (.*)", line) for line in joined(trace)) if m]
    parent = {result.split()[0]: pid for pid, call, _, result in lines if call in ("clone", "clone3", "fork", "vfork") and result.split()[0].isdigit()}
    user = {}
    for pid, call, arguments, result in lines:
        if pid not in user:
            user[pid] = user.get(parent.get(pid), "0")
        if call in ("setresuid", "setuid", "setreuid") and result.startswith("0"):
            effective = arguments.split(", ")[1 if call != "setuid" else 0]
            user[pid] = user[pid] if effective == "-1" else effective
        elif user[pid] == "0":
            yield call, arguments, result


def wrong_with(call, arguments, data):
    """Returns None, or why a call by root is not safe below the data directory."""
    at = re.match(r"(\d+|AT_FDCWD)(?:<([^>]*)>)?, ", arguments)
    names = re.findall(r'"((?:[^"\\]|\\.)*)"', arguments)
    if call == "bind":
        return "a path" if "AF_UNIX" in arguments and any(name.startswith(str(data)) for name in names) else None
    folder = at.group(2) if at else None
    for name in names[:2]:
        absolute = name.startswith(str(data) + "/") or name == str(data)
        relative = not name.startswith("/") and folder is not None and (folder == str(data) or folder.startswith(str(data) + "/"))
        if absolute:
            inner = name[len(str(data)):].strip("/")
            if inner == "" and call in ("open", "openat") and "O_WRONLY" not in arguments and "O_CREAT" not in arguments:
                continue  # the directory itself belongs to root
            if inner == "dovecot/run/master.pid" and "O_NOFOLLOW" in arguments and "O_RDONLY" in arguments:
                continue
            return "a path"
        if not relative:
            continue
        if "/" in name:
            return "more than one name"
        if call in ("open", "openat", "creat") and name not in (".", "..") and "O_NOFOLLOW" not in arguments:
            return "follows links"
        if "O_TRUNC" in arguments or ("O_CREAT" in arguments and "O_EXCL" not in arguments):
            return "opens what was there"
        if call in ("chown", "fchownat") and "AT_SYMLINK_NOFOLLOW" not in arguments and "AT_EMPTY_PATH" not in arguments:
            return "follows links"
        if call in ("chmod", "fchmodat", "truncate", "lchown", "utimensat"):
            return "goes by a name"
    return None


class Traced:
    def __init__(self, folder):
        self.folder, self.count = folder, 0

    def wrapper(self):
        self.count += 1
        return ["strace", "-f", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(self.folder / f"trace{self.count}")]

    def check(self, data):
        seen, wrong = 0, []
        for file in sorted(self.folder.glob("trace*")):
            for call, arguments, _ in calls_of_root(file.read_text(errors="replace").splitlines()):
                seen += str(data) in arguments
                why = wrong_with(call, arguments, data)
                if why:
                    wrong.append(f"{file.name}: {call}({arguments}): {why}")
        assert seen > 30, "the trace shows nothing"
        assert not wrong, "\n".join(wrong)


def test_the_checker_of_calls_can_fail():
    data = Path("/d")
    assert wrong_with("open", '"/d/relay/mta-sts.new", O_WRONLY|O_CREAT|O_TRUNC, 0600', data)
    assert wrong_with("openat", 'AT_FDCWD</>, "/d/queue/lock", O_RDWR', data)
    assert wrong_with("openat", '5</d/queue>, "lock", O_RDWR', data)
    assert wrong_with("openat", '5</d>, "queue/lock", O_RDWR|O_NOFOLLOW', data)
    assert wrong_with("chown", '"/d/drop", 1, 1', data) and wrong_with("bind", '3, {sa_family=AF_UNIX, sun_path="/d/submit.sock"}, 110', data)
    assert not wrong_with("openat", '5</d>, "queue", O_RDONLY|O_NOFOLLOW|O_PATH', data) and not wrong_with("open", '"/etc/passwd", O_RDONLY', data)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_every_call_of_root_s_below_the_data_directory_goes_by_descriptor(tmp_path, certificates):
    traced = Traced(tmp_path)
    server = Mailboat(tmp_path / "server", certificates, wrapper=traced.wrapper())
    server.start()

    def do(*command, text_input=None):
        subprocess.run([*traced.wrapper(), PROGRAM, *command, "--config", server.config], input=text_input, capture_output=True, text=True, timeout=60)

    def all_commands():
        for command in [("user", "add", ADA, "--password-stdin"), ("user", "passwd", ADA, "--password-stdin")]:
            do(*command, text_input=PASSWORD + "\n")
        for command in [*COMMANDS, ("alias", "add", "x@example.org", ADA), ("key", "add", ADA, "phone"), ("domain", "add", "x.example"), ("queue", "hold", "--all"),
                        ("queue", "remove", "--all"), ("user", "locks"), ("dns", "example.org"), ("user", "remove", ADA)]:
            do(*command)
        program = server.folder / "sendmail"
        if not program.exists():
            program.symlink_to(PROGRAM)
        for arguments in (["-bp"], ["-f", ADA, ADA]):
            subprocess.run([*traced.wrapper(), program, "-C", server.config, *arguments], input="Subject: x\n\nhi\n", capture_output=True, text=True, timeout=60)

    try:
        all_commands()
        supervisor = int(subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True).stdout.split()[0])
        relay = subprocess.run(["pgrep", "-P", str(supervisor), "mailboat-relay"], capture_output=True, text=True).stdout.split()[0]
        os.kill(int(relay), signal.SIGKILL)
        server.wait_log("process_died", "role=relay")
        os.kill(supervisor, signal.SIGHUP)
        server.wait_log("reloaded")
        os.kill(supervisor, signal.SIGTERM)
        server.wait_log("stopped")
        server.process.wait(30)
        all_commands()
    finally:
        subprocess.run(["pkill", "-KILL", "-P", str(server.process.pid)])
        server.stop(signal.SIGKILL)
    give(server.data / "mail", 61840 + 5)  # a folder that changes its owner
    server.wrapper = traced.wrapper()
    server.start()
    supervisor = int(subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True).stdout.split()[0])
    os.kill(supervisor, signal.SIGTERM)
    server.wait_log("stopped")
    server.process.wait(30)
    server.process = None
    traced.check(server.data)


# ---- files that root leaves elsewhere ----

def test_known_ports_are_not_kept_in_another_s_home(tmp_path):
    """sudo may keep HOME: `mailboat ports` as root would write to the target of another user's link."""
    out = Outside(tmp_path / "outside")
    home = other_folder(tmp_path / "home", owner=EVE)
    state = other_folder(home / ".local" / "state")
    (state / "mailboat").symlink_to(out.folder / "folder")
    give(home, EVE)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        run("ports", f"127.0.0.1:{listener.getsockname()[1]}", check=False, env={**os.environ, "HOME": str(home)}, timeout=60)
    (state / "mailboat").unlink()
    (state / "mailboat").mkdir()
    os.mkfifo(state / "mailboat" / "ports.json")
    give(home, EVE)
    run("ports", "127.0.0.1:9", check=False, env={**os.environ, "HOME": str(home)}, timeout=60)
    out.is_untouched()


def test_the_demo_s_folder_is_where_others_cannot_reach(tmp_path):
    for folder, word in ((other_folder(tmp_path / "open", 0o777), "chmod"), (other_folder(tmp_path / "eve", owner=EVE), str(EVE))):
        done = run("demo", "--once", check=False, env={**os.environ, "TMPDIR": str(folder)}, timeout=60)
        assert done.returncode == 77 and word in done.stderr and str(folder) in done.stderr
        assert list(folder.iterdir()) == []


def test_json_and_text_of_config_check_stay_apart(stopped):
    server, out = stopped
    done = server.cli("config", "check")
    assert done.stdout.count("\n") == 1 and done.stdout.startswith(f"{server.config}: ") and "warning:" not in done.stdout
    assert json.loads(server.cli("queue", "list", "--json").stdout or "[]") == []
