# SPDX-License-Identifier: Apache-2.0
"""bench/run does what its description says. The figures themselves are not checked: no test depends on a
time."""
import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from mailboat import ROOT, until

sys.path.insert(0, str(ROOT / "bench"))
pytestmark = [pytest.mark.alone,
              pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces and cgroups need root")]


def bench(*arguments, check=True, patience=120):
    with subprocess.Popen([str(ROOT / "bench/run"), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, err = process.communicate(timeout=patience)
    assert not check or process.returncode == 0, err
    assert left_behind_by(process.pid) == []
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_help_can_be_printed():
    assert "--servers" in bench("--help").stdout


def left_behind_by(pid):
    """Returns the servers of a run that are still running: each has its own cgroup."""
    from mail_servers import cgroup_root
    return list(cgroup_root().glob(f"mailboat-bench-*-{pid}"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The shortest possible run, of Mailboat only."""
    folder = tmp_path_factory.mktemp("bench")
    bench("--quick", "--servers", "mailboat", "--seconds", 0.01, "--case", "^20 .*4 KiB|^1 connection, 4 KiB, new",
          "--only", "syncs,memory,limits,accept,relay,submission", "--json", folder / "bench.json", "--pages", folder)
    return folder


def values(folder):
    return {(row["part"], row["case"], row["what"]): row["values"] for row in json.loads((folder / "bench.json").read_text())["rows"]}


def test_a_run_measures_each_part(measured):
    found = values(measured)
    assert json.loads((measured / "bench.json").read_text())["left_out"] == []
    for part, case, *whats in (("accept", "20 connections, 4 KiB, new", "rate", "cpu_us"), ("accept", "20 connections, 4 KiB, kept", "rate", "cpu_us"),
                               ("latency", "1 connection, 4 KiB, new", "p50_ms", "p99_ms"), ("relay", "20 connections, 4 KiB, kept", "rate", "cpu_us"),
                               ("submission", "20 connections, 4 KiB, new TLS sessions", "rate", "p50_ms"), ("memory", "each further idle connection", "memory")):
        for what in whats:
            assert found[part, case, what]["mailboat"][0] > 0, (part, case, what)
    assert found["limits", "plain sync of 4 KiB", "p50_ms"]["disk"][0] > 0


def test_each_message_of_a_single_connection_is_synced(measured):
    """The counter sees the sync of each message."""
    assert values(measured)["syncs", "1 connection, 4 KiB, new", "syncs"]["mailboat"][0] >= 1


def test_the_page_and_the_plot_are_drawn_again_from_the_figures(measured, tmp_path):
    bench("--from", measured / "bench.json", "--pages", tmp_path)
    for name in ("measured.md", "measured.svg"):
        assert (tmp_path / name).read_text() == (measured / name).read_text()
    page = (tmp_path / "measured.md").read_text()
    for title in ("Accept", "How long one message takes", "Syncs a message", "Relay", "Submission with TLS", "Idle memory", "How it was measured"):
        assert f"\n## {title}\n" in page
    assert re.search(r"\n\| 20 connections, 4 KiB, new \| [\d,.]+ \|\n", page)
    bars = ET.parse(tmp_path / "measured.svg").getroot().findall(".//{http://www.w3.org/2000/svg}rect/{http://www.w3.org/2000/svg}title")
    assert any(re.fullmatch(r"Mailboat: [\d,.]+", bar.text) for bar in bars)


def measuring(folder, *kinds):
    """The parts, with the test's servers in place of SERVERS."""
    import servers
    from figures import Figures
    from loads import Clock, compile_load
    from parts import Measuring
    servers.SERVERS.update({kind.name: kind for kind in kinds})
    return Measuring(Figures(), Clock(seconds=0.01, minutes=1), folder, compile_load(folder), lambda words, lasting=False: None, [kind.name for kind in kinds],
                     re.compile("^1 connection, 4 KiB, new"))


def test_a_peer_that_cannot_start_or_says_nothing_is_named_and_left_out(tmp_path, monkeypatch):
    import parts
    from loads import Clock
    from mail_servers import Server
    from servers import SERVERS

    class Absent(Server):
        name = title = "absent"

        def start(self, mode, to=None):
            self.start_in_front(self.wrapped("sh", "-c", "echo no such library; exit 1"))

    class Silent(Server):
        name = title = "silent"

        def start(self, mode, to=None):
            self.start_in_front(self.wrapped(sys.executable, "-c", f"import socket, time; s = socket.create_server(('127.0.0.1', {self.port})); time.sleep(1000)"))

    monkeypatch.setattr("mail_servers.START_S", 1)
    monkeypatch.setattr(Clock, "LOAD_S", 1)
    known = dict(SERVERS)
    try:
        m = measuring(tmp_path, Absent, Silent)
        parts.measure_all(m, ["accept"], 2)
    finally:
        SERVERS.clear()
        SERVERS.update(known)
    assert m.figures.why_left_out("accept", "", "absent") == "does not listen: no such library"
    assert m.figures.why_left_out("accept", "1 connection, 4 KiB, new", "silent").startswith("not done after")
    assert not m.figures.rows
    assert left_behind_by(os.getpid()) == []


def test_an_interrupted_run_ends_what_it_started(tmp_path):
    """No process is ended by name, and none remains."""
    process = subprocess.Popen([str(ROOT / "bench/run"), "--quick", "--servers", "mailboat", "--only", "accept", "--json", str(tmp_path / "bench.json"), "--pages", str(tmp_path)],
                               stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until(lambda: any((path / "cgroup.procs").read_text() for path in left_behind_by(process.pid)))
        assert left_behind_by(process.pid)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert left_behind_by(process.pid) == []


def figures_of(**about):
    from figures import Figures
    figures = Figures()
    figures.about = {"date": "2000-01-01", "machine": {"processor": "one", "kernel": "Linux"}, "versions": {}, "clients": {}, "busy_before": 0, "seconds": 1,
                     "quick": False, "command": "bench/run", **about}
    return figures


def test_who_said_250_without_a_sync_is_named_so():
    from page import page, title_of
    from plot import svg
    figures = figures_of()
    for server, syncs in (("mailboat", 1), ("postfix", 0), ("opensmtpd", 0), ("nothing-stored", 0)):
        figures.add("syncs", "1 connection, 4 KiB, new", "syncs", "a message", server, syncs)
        figures.add("syncs", "files opened with O_SYNC or O_DSYNC", "opens", "", server, 7 if server == "postfix" else 0)
        figures.add("accept", "1 connection, 4 KiB, new", "rate", "messages a second", server, 100)
    assert [title_of(figures, name) for name in ("mailboat", "postfix", "opensmtpd", "nothing-stored")] == [
        "Mailboat", "Postfix", "OpenSMTPD (does not sync)", "nothing stored"]
    assert "**OpenSMTPD does not sync**" in page(figures) and "**Mailboat does not sync**" not in page(figures)
    assert "OpenSMTPD (does not sync)" in svg(figures)


@pytest.fixture(scope="module")
def authenticated(tmp_path_factory):
    """The shortest possible run of mail authentication, of Mailboat only."""
    folder = tmp_path_factory.mktemp("authenticated")
    bench("--quick", "--servers", "mailboat,mailboat-checking,mailboat-signing", "--seconds", 0.01, "--only", "checking,cold,signing",
          "--minutes", 8, "--json", folder / "bench.json", "--pages", folder, patience=600)
    return folder


def test_mail_authentication_is_measured_beside_the_same_server_without(authenticated):
    """A server whose results or signature are wrong would be left out."""
    found = values(authenticated)
    assert json.loads((authenticated / "bench.json").read_text())["left_out"] == []
    for part, case, what, *servers in (("checking", "20 connections, 4 KiB, new", "rate", "mailboat", "mailboat-checking"),
                                       ("checking", "20 connections, 4 KiB, kept", "cpu_us", "mailboat", "mailboat-checking"),
                                       ("cold", "3 look-ups of 20 ms", "p99_ms", "mailboat-checking"), ("signing", "openssl speed rsa2048", "rate", "openssl"),
                                       ("signing", "20 connections, 4 KiB, kept", "rate", "mailboat", "mailboat-signing")):
        for server in servers:
            assert found[part, case, what][server][0] > 0, (part, case, what)
    assert found["cold", "3 look-ups of 20 ms", "p50_ms"]["mailboat-checking"][0] >= 60
    page = (authenticated / "measured.md").read_text()
    for title in ("accept with all checks", "a sender that no cache knows", "relay with a signature"):
        assert f"\n## Mail authentication: {title}\n" in page


@pytest.mark.parametrize("name, stored, why", [
    ("mailboat-checking", b"iprev=pass; spf=pass; DKIM=pass; dmarc=pass", None), ("mailboat", b"", None),
    ("postfix-rspamd", b"(mx.sender.example [192.0.2.1]) spf=pass; dkim=pass; dmarc=pass", None),
    ("postfix-rspamd", b"(unknown [192.0.2.1]) spf=pass; dkim=pass; dmarc=pass", "no name of the client"),
    ("postfix-opendkim", b"(mx.sender.example [192.0.2.1]) spf=pass; dkim=fail; dmarc=pass", "spf, dmarc; not: spf, dkim, dmarc"),
    ("postfix", b"spf=pass", "not: none")])
def test_a_server_that_has_not_checked_what_it_stored_is_left_out(name, stored, why):
    from trust_parts import demand_results

    class It:
        def stored(self):
            return [stored]
    server = It()
    server.name = name
    if why is None:
        demand_results(server)
    else:
        with pytest.raises(RuntimeError, match=re.escape(why)):
            demand_results(server)


def test_rows_of_mail_authentication_have_their_shares():
    from page import page
    from plot import svg
    figures, kept = figures_of(), "20 connections, 4 KiB, kept"
    for server, rate in (("mailboat", 4000), ("mailboat-checking", 3000), ("postfix", 500), ("postfix-opendkim", 100), ("postfix-rspamd", 250)):
        figures.add("checking", kept, "rate", "messages a second", server, rate)
        figures.add("cold", "3 look-ups of 20 ms", "p99_ms", "ms", server, 64.5 if server == "mailboat-checking" else 160)
    for server, rate in (("mailboat", 3000), ("mailboat-signing", 1500), ("postfix", 400), ("postfix-opendkim", 300)):
        figures.add("signing", kept, "rate", "messages a second", server, rate)
        figures.add("signing", kept, "busy_us", "µs", server, 500)
    figures.add("signing", "openssl speed rsa2048", "rate", "a second", "openssl", 8000)  # 250 µs each on one core
    figures.add("signing", "openssl speed rsa2048", "cores", "", "openssl", 2)
    text = page(figures)
    assert "| Mailboat | Postfix | Mailboat, checking | Postfix, OpenDKIM and others | Postfix, rspamd | Mailboat, checking / best peer |" in text
    assert f"| {kept}: a second | 4,000 | 500 | 3,000 | 100 | 250 | 12.00 |" in text
    assert f"| {kept}: share of the rate without checks |  |  | 0.75 | 0.20 | 0.50 |  |" in text
    assert "| p99 without 3 x 20 ms, ms |  |  | 4.50 | 100 | 100 |  |" in text and "| p99, ms | 160 | 160 | 64.5 | 160 | 160 | 0.40 |" in text
    assert "| share of the rate unsigned |  |  | 0.50 | 0.75 |  |" in text
    assert "| share of what openssl allows |  |  | 0.56 | 0.75 |  |" in text  # of 2 cores / (500 + 250 µs); Postfix's of what it reaches unsigned
    assert "Mailboat, checking" in svg(figures)


def test_parts_measured_anew_replace_theirs_and_the_page_says_so(tmp_path):
    from figures import Figures
    from page import doubts, page
    earlier, now = figures_of(versions={"mailboat": "1"}, busy_before=0.5), figures_of(date="2000-02-02", versions={"mailboat": "2", "postfix": "3"}, command="bench/run --only accept")
    case = "1 connection, 4 KiB, new"
    for part, figures, value in (("accept", earlier, 1), ("latency", earlier, 1), ("relay", earlier, 1), ("accept", now, 2)):
        figures.add(part, case, "rate", "messages a second", "mailboat", value)
    earlier.leave_out("latency", case, "exim", "slow")
    earlier.leave_out("relay", case, "exim", "absent")
    now.keep(earlier, ["accept"])
    now.save(tmp_path / "bench.json")
    now = Figures.load(tmp_path / "bench.json")
    assert {row: found["values"]["mailboat"] for row, found in now.rows.items()} == {("relay", case, "rate"): [1], ("accept", case, "rate"): [2]}
    assert list(now.left_out) == [("relay", case)]
    assert now.about["date"] == "2000-01-01" and now.about["versions"] == {"mailboat": "1", "postfix": "3"}
    assert "; the part accept measured anew on 2000-02-02 by `bench/run --only accept`, Mailboat 2." in page(now)
    assert "not quiet (50% busy" in doubts(now)[0]


def test_a_run_ends_with_its_time(tmp_path):
    done = bench("--quick", "--minutes", 0.0001, "--servers", "mailboat", "--only", "memory,accept", "--json", tmp_path / "bench.json", "--pages", tmp_path)
    assert "the time is over" in done.stderr and values(tmp_path) == {}
    assert "**The time was over" in (tmp_path / "measured.md").read_text() and "\n## How it was measured\n" in (tmp_path / "measured.md").read_text()


@pytest.mark.parametrize("arguments, words", [(["--servers", "mailbot"], "there is no 'mailbot'; there are: mailboat, postfix"),
                                              (["--runs", "0"], "--runs takes a number above 0"), (["--from", "/nonexistent"], "these are no figures of a run")])
def test_what_is_mistyped_is_told(arguments, words):
    done = bench(*arguments, check=False)
    assert done.returncode in (2, 66) and words in done.stderr
