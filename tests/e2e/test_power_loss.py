# SPDX-License-Identifier: Apache-2.0
"""Power loss below a whole server, on a disk that loses unsynced data (tests/power). tests/power-loss
makes the longer runs."""
import os
import signal
import subprocess
import sys

import pytest

from mailboat import ROOT, Mailboat, run, until

sys.path.append(str(ROOT / "tests/power"))
from forgetful import Forgetful, there_is_fuse  # noqa: E402

pytestmark = pytest.mark.skipif(not there_is_fuse(), reason="there is no /dev/fuse to mount a disk with")


def power_loss(*arguments):
    done = subprocess.run([str(ROOT / "tests/power-loss"), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    print(done.stdout, done.stderr)
    return done


@pytest.fixture
def disk(tmp_path):
    tmp_path.chmod(0o755)
    disk = Forgetful(tmp_path / "mounted")
    yield disk
    disk.cut()
    disk.end()


@pytest.fixture
def server(tmp_path, certificates, disk):
    server = Mailboat(tmp_path / "server", certificates)
    server.data = disk.folder / "data"
    server.write_config()
    yield server
    if server.process is not None:
        die(server, disk)


def die(server, disk, seed=0):
    """Ends all processes, as a power loss does."""
    server.process.kill()
    disk.cut()
    until(lambda: server.log[-1:] == ["(end of log)"])
    server.stop()
    return disk.lose(seed)


def test_nothing_accepted_is_lost_and_nothing_comes_twice_without_a_reason():
    done = power_loss("--crashes", 20, "--messages", 1500)
    assert done.returncode == 0
    assert " 0 lost, 0 damaged, " in done.stdout and " 0 of these unexplained, 0 troubles" in done.stdout


@pytest.mark.parametrize("about", ["files", "folders"])
def test_mail_is_lost_on_a_disk_that_lies(about):
    """Tests the test: unsynced mail must be found missing."""
    done = power_loss("--crashes", 10, "--messages", 500, "--lie", about)
    assert done.returncode == 1 and "messages accepted" in done.stdout


def test_an_account_that_was_added_stays(server, disk):
    """Its row and the names of the folders above the file are synced: the account is the last change of all."""
    for address in ("ada@example.org", "eve@example.org"):
        server.add_user(address, "secret")
        disk.cut()
        disk.lose()
        assert address in server.cli("user", "list").stdout


def test_a_server_starts_whenever_the_power_failed_at_its_birth(server, disk):
    """Its own certificate is complete or missing, and the folders that it made belong to its processes:
    a large message needs a file in a folder of the queue's."""
    server.add_user("ada@example.org", "secret")
    lines = server.config.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(("tls:", "  certificate:", "  key:")))
    server.write_config = lambda: server.config.write_text(text)
    for seed, operations in enumerate((9, 17, 22, 25, 28, 33, 40, 52)):
        disk.die_after(operations)
        server.start(wait=False)
        until(lambda: disk.dead.is_set() or server.lines("ready"))
        die(server, disk, seed)
    server.start()
    die(server, disk)
    server.start()
    run("sendmail", "-C", server.config, "ada@example.org", text_input="Subject: large\n\n" + "x\n" * 50000)
    server.wait_log("delivered", "to=ada@example.org")


def test_what_was_dropped_and_taken_in_does_not_come_back(server, disk):
    server.add_user("ada@example.org", "secret")
    server.start()
    server.stop()
    for i in range(3):
        run("sendmail", "-C", server.config, "ada@example.org", text_input=f"Subject: {i}\n\nx\n")
    disk.cut()
    disk.lose()
    drop = server.data / "drop"
    assert len(list(drop.iterdir())) == 3  # status 0: they are on the disk
    server.start()
    server.wait_log("delivered", count=3)
    until(lambda: not list(drop.iterdir()))
    server.stop(signal.SIGTERM)
    disk.cut()
    disk.lose()
    assert not list(drop.iterdir()) and len(server.mail("ada@example.org")) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has processes of other users")
def test_nothing_is_dropped_where_the_server_could_not_read_it(server, disk):
    """Root's sendmail, with a drop directory that was created but is not owned by the server yet."""
    server.add_user("ada@example.org", "secret")
    drop = server.data / "drop"
    os.chown(drop, 0, 0)
    done = run("sendmail", "-C", server.config, "ada@example.org", text_input="Subject: x\n\nx\n", check=False)
    assert done.returncode == 75 and "mailboat serve" in done.stderr and not list(drop.iterdir())
