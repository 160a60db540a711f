# SPDX-License-Identifier: Apache-2.0
"""The users of the processes: one list, used by the program, make install, the Debian package and the
documents."""
import os
import pwd
import re
import shutil
import subprocess

import pytest

from mailboat import PROGRAM, ROOT, Mailboat, until

LIST = ROOT / "packaging" / "mailboat.sysusers"
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users and becomes them")


def roles():
    """Returns the roles of the program, without the supervisor and the subcommands."""
    text = (ROOT / "src/ipc/ipc_message.h").read_text()
    names = re.findall(r'^    ROLE\(\w+, "(\w+)"\)', text, re.M)
    assert names[0] == "supervisor" and names[-1] == "cli" and len(names) > 5
    return names[1:-1]


def listed():
    return re.findall(r"^u!?\s+mailboat-(\w+)\s", LIST.read_text(), re.M)


def test_each_process_has_a_user_in_the_list_and_in_the_documents():
    assert sorted(listed()) == sorted(roles())
    manual = (ROOT / "man/mailboat.1").read_text()
    tables = re.findall(r"^\| process \|.*\n\|[-| ]+\n((?:\|.*\n)+)", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    assert len(tables) == 2
    for table in tables:  # a row for each, and for nothing else
        assert sorted(re.findall(r"^\| ([\w-]+)", table, re.M)) == sorted(["supervisor", *roles()]), table
    for role in roles():
        assert re.search(rf"\bmailboat-{role}\b(?!-)", manual), f"mailboat.1 does not name mailboat-{role}"


def test_no_other_file_has_a_list_of_its_own():
    for file in (ROOT / "packaging").iterdir():
        if file != LIST:
            assert "mailboat-smtpd" not in file.read_text() and "smtpd auth" not in file.read_text(), file


def made(root):
    lines = (root / "etc/passwd").read_text().splitlines()
    return {line.split(":")[0]: line.split(":") for line in lines if line.startswith("mailboat-")}


def check_made(root):
    users = made(root)
    assert sorted(users) == sorted(f"mailboat-{role}" for role in roles())
    for name, (_, _, uid, gid, comment, home, shell) in users.items():
        assert 0 < int(uid) < 1000 and int(gid) > 0, name  # a system user
        assert comment.startswith("Mailboat") and home == "/nonexistent" and shell == "/usr/sbin/nologin", name
    assert len({user[2] for user in users.values()}) == len({user[3] for user in users.values()}) == len(users)


def empty_root(folder):
    (folder / "etc").mkdir(parents=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        (folder / "etc" / name).touch()
    return folder


@is_root
@pytest.mark.parametrize("by", ["systemd-sysusers", "useradd"])
def test_the_list_makes_each_user(tmp_path, by):
    if shutil.which(by) is None:
        pytest.skip(f"{by} is not installed")
    root, tools = empty_root(tmp_path / "root"), tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "sed", "grep", "useradd", "realpath", "getent", by):
        if not (tools / name).exists():
            (tools / name).symlink_to(shutil.which(name))
    command = [ROOT / "packaging/make-users", LIST, root]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tools)})
    assert done.returncode == 0 and "not a valid" not in done.stderr, done.stderr
    check_made(root)
    before = (root / "etc/passwd").read_text()
    subprocess.run(command, check=True, capture_output=True, env={"PATH": str(tools)})
    assert (root / "etc/passwd").read_text() == before


def test_systemd_sysusers_takes_every_line(tmp_path):
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd-sysusers is not installed")
    root = empty_root(tmp_path / "root")
    done = subprocess.run(["systemd-sysusers", f"--root={root}", LIST], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_made(root)


def test_make_install_leaves_users_alone_below_a_destdir(tmp_path):
    program = tmp_path / "mailboat"
    program.write_text("")
    before = (tmp_path / "root")
    subprocess.run([ROOT / "packaging/install", program, "/usr"], check=True, env={**os.environ, "DESTDIR": str(before)})
    assert (before / "usr/lib/sysusers.d/mailboat.conf").read_text() == LIST.read_text()
    assert os.access(before / "usr/lib/mailboat/make-users", os.X_OK) and not (before / "etc").exists()


@pytest.fixture(scope="module")
def packages():
    """The packages of the server and of the client, as `make deb` builds them."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg here")
    tested = PROGRAM.parent == ROOT / "build-test"  # tests/run has compiled this program already
    done = subprocess.run(["make", "-s", "deb", *(["BUILD=build-test", "OPTIONS="] if tested else [])], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return [ROOT / next(word for word in done.stdout.split() if f"/{name}_" in word) for name in ("mailboat", "mailboat-client")]


@is_root
def test_the_package_makes_its_users(tmp_path, packages):
    """The package is unpacked and configured by its own script in its own root directory."""
    root = empty_root(tmp_path / "root")
    subprocess.run(["dpkg-deb", "-x", packages[0], root], check=True)
    subprocess.run(["dpkg-deb", "-e", packages[0], tmp_path / "control"], check=True)
    postinst = subprocess.run([tmp_path / "control/postinst", "configure"], env={**os.environ, "DPKG_ROOT": str(root)}, capture_output=True, text=True)
    assert postinst.returncode == 0, postinst.stderr
    check_made(root)


def test_the_packages_depend_on_the_library_that_is_loaded_late(packages):
    """dpkg-shlibdeps sees what the program is linked with; libcurl is loaded when it is needed."""
    for package in packages:
        depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, capture_output=True, text=True).stdout
        names = [each.split()[0] for each in depends.split(", ")]
        assert len([name for name in names if name.startswith("libcurl4")]) == 1 and "libc6" in names, depends


@is_root
def test_a_package_is_installed_upgraded_removed_and_purged(tmp_path, packages):
    """By dpkg in its own root, without systemd: mail, configuration and users stay, programs and links are removed."""
    root, server, client = empty_root(tmp_path / "root"), *packages
    for folder in ("info", "updates", "triggers"):
        (root / "var/lib/dpkg" / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()

    def dpkg(*arguments):
        done = subprocess.run(["dpkg", f"--root={root}", f"--log={tmp_path}/log", "--force-script-chrootless", "--force-depends", *map(str, arguments)],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def installed(name):
        done = subprocess.run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${db:Status-Status} ${Version}", name], capture_output=True, text=True)
        return done.stdout

    dpkg("-i", client)
    assert (root / "usr/bin/mailboat").exists() and not (root / "usr/sbin").exists() and not (root / "usr/lib/systemd").exists()
    dpkg("-i", server)  # replaces the client package
    assert not installed("mailboat-client").startswith("installed") and (root / "usr/sbin/sendmail").is_symlink()
    check_made(root)
    (root / "var/lib/mailboat").mkdir(parents=True)
    kept = [root / "var/lib/mailboat/mail", root / "etc/mailboat/mailboat.conf", root / "etc/passwd"]
    for file in kept[:2]:
        file.write_text("mine\n")
    before = [file.read_text() for file in kept]
    subprocess.run(["dpkg-deb", "-R", server, tmp_path / "next"], check=True)
    control = tmp_path / "next/DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 99.0", control.read_text()))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tmp_path / "next", tmp_path / "next.deb"], check=True, capture_output=True)
    dpkg("-i", tmp_path / "next.deb")
    assert installed("mailboat") == "installed 99.0"
    dpkg("-r", "mailboat")
    assert not (root / "usr/bin/mailboat").exists() and not (root / "usr/sbin/sendmail").is_symlink()
    dpkg("-P", "mailboat")
    assert installed("mailboat").split()[:1] in ([], ["not-installed"]) and [file.read_text() for file in kept] == before


# ---- at the start ----

@is_root
def test_missing_users_are_told_in_one_line_with_the_fix(tmp_path, certificates):
    server = Mailboat(tmp_path / "server", certificates, extra="user: nosuchuser\n")
    server.start()
    line, = server.lines("users_missing")
    for role in roles():
        assert f"nosuchuser-{role} (number " in line
    assert "systemd-sysusers" in line
    numbers = [int(number) for number in re.findall(r"number (\d+)", line)]
    assert len(set(numbers)) == len(roles())
    for number in numbers:  # outside the ranges of systemd, Debian and containers
        assert 65536 <= number < 100000
        with pytest.raises(KeyError):
            pwd.getpwuid(number)
    for role, pids in server.processes().items():
        if role in roles():
            for pid in pids:
                ids = re.search(r"Uid:\t(\d+)\t(\d+)", open(f"/proc/{pid}/status").read()).groups()
                assert int(ids[0]) in numbers and ids[0] == ids[1], role
    server.stop()
    done = server.cli("config", "check")
    assert "the server can start" in done.stdout and done.stderr.count("nosuchuser-web") == 1


def with_users(tmp_path, lines, *command, **options):
    """Returns a command that also sees these users: in a mount namespace with its own passwd and group."""
    passwd, group = tmp_path / "passwd", tmp_path / "group"
    passwd.write_text(open("/etc/passwd").read() + "".join(f"{name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin\n" for name, uid, gid in lines))
    group.write_text(open("/etc/group").read() + "".join(f"{name}:x:{gid}:\n" for name, uid, gid in lines))
    script = f'mount --bind {passwd} /etc/passwd && mount --bind {group} /etc/group && exec "$@"'
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *map(str, command)]


@is_root
@pytest.mark.parametrize("case", ["all", "one is missing", "one is root", "a group is root's", "the number is taken", "two share a number"])
def test_what_the_user_database_says_is_taken_or_refused(tmp_path, certificates, case):
    lines = [(f"x-{role}", 4200 + number, 4200 + number) for number, role in enumerate(roles())]
    if case == "one is missing":
        lines.pop()
    if case == "one is root":
        lines[2] = (lines[2][0], 0, 4202)
    if case == "a group is root's":
        lines[2] = (lines[2][0], 4202, 0)
    if case == "two share a number":
        lines[2] = (lines[2][0], 4201, 4201)
    if case == "the number is taken":
        lines[-1] = ("eve", 90160 + len(roles()), 90160 + len(roles()))
    server = Mailboat(tmp_path / "server", certificates, extra="user: x\n", wrapper=with_users(tmp_path, lines))
    server.start(wait=False)
    until(lambda: server.lines("ready") or server.log[-1:] == ["(end of log)"])
    said = "\n".join(server.log)
    if case in ("all", "one is missing", "two share a number"):
        assert server.lines("ready"), said
        warned = server.lines("users_missing")
        assert len(warned) == (case != "all")
        assert case != "one is missing" or (f"x-{roles()[-1]} (number " in warned[0] and "x-smtpd" not in warned[0])
        assert case != "two share a number" or (lines[1][0] in warned[0] and lines[2][0] in warned[0] and "kept apart" in warned[0])
        assert server.stop() == 0
    else:
        assert server.ended() == 78
        assert (lines[2][0] if "root" in case else f"x-{roles()[-1]}") in said


@is_root
def test_users_that_are_made_later_get_the_folders_at_the_next_start(tmp_path, certificates):
    """A reload in between rejects nothing and changes nothing."""
    server = Mailboat(tmp_path / "server", certificates, extra="user: x\n")
    server.start()
    server.stop()
    lines = [(f"x-{role}", 4200 + number, 4200 + number) for number, role in enumerate(roles())]
    server.wrapper = with_users(tmp_path, lines)
    server.start()
    moved = server.lines("directory_owner_changed")
    assert len(moved) == 7 and (server.data / "queue").stat().st_uid == 4200 + roles().index("queue")
    server.stop()
    server.start()
    assert not server.lines("directory_owner_changed") and not server.lines("users_missing")
    server.stop()
