# SPDX-License-Identifier: Apache-2.0
"""libcurl is loaded where a file is fetched over HTTPS, and nowhere else."""
from pathlib import Path

import pytest

from mailboat import Mailboat, run


@pytest.fixture
def without_libcurl(tmp_path):
    """The environment of a machine whose libcurl cannot be loaded."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/libcurl.so.4").touch()
    return {"LD_LIBRARY_PATH": str(tmp_path / "broken")}


def maps_libcurl(pid):
    return "/libcurl.so.4" in Path(f"/proc/{pid}/maps").read_text()


def test_only_the_process_that_fetches_has_libcurl(shared_server):
    having = {name for name, pids in shared_server.processes().items() if any(map(maps_libcurl, pids))}
    assert having == {"relay"} and not maps_libcurl(shared_server.process.pid)


def test_without_libcurl_the_rest_works(without_libcurl, tmp_path, certificates):
    assert run("version", env=without_libcurl).stdout.startswith("mailboat ")
    server = Mailboat(tmp_path / "server", certificates, environment=without_libcurl)
    server.write_config()
    server.cli("user", "add", "ada@example.org", "--password-stdin", text_input="secret-of-ada\n", env=without_libcurl)


def test_without_libcurl_the_server_names_the_package(without_libcurl, tmp_path, certificates):
    server = Mailboat(tmp_path / "server", certificates, environment=without_libcurl).start(wait=False)
    assert server.ended() == 69
    assert server.lines("start_failed", "relay", "install Debian's package libcurl4")
