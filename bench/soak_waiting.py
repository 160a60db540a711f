# SPDX-License-Identifier: Apache-2.0
"""Very many messages waiting: measures the server's memory and its speed with
them, the time of each command, and how long it is unavailable when its queue
process is killed, when it is reloaded and when it is restarted."""
import os
import re
import shutil
import signal
import smtplib
import statistics
import subprocess
import threading
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path

from faults import cpu_seconds
from mailboat import PROGRAM, ROOT, free_port, memory_kib, until

backlog = SourceFileLoader("backlog", str(ROOT / "bench/backlog")).load_module()
DEAD = [f"dead{i}" for i in range(20)]
TURNS = 5
PATIENCE = 600


def log_kept_short(server):
    """Discards log lines, so that reading a million of them does not distort the measurement."""
    def keep():
        while server.process is not None:
            with server.changed:
                del server.log[:-20000]
            time.sleep(1)
    threading.Thread(target=keep, daemon=True).start()


def offer(port, name, since):
    """Returns the seconds from `since` until a message for that destination is accepted, with retries."""
    while time.monotonic() < since + PATIENCE:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
                client.sendmail("bench@perf.test", [f"{name}@sink.test"], "From: bench@perf.test\r\nSubject: hello\r\n\r\nhi\r\n")
                return time.monotonic() - since
        except (OSError, smtplib.SMTPException):
            time.sleep(0.005)
    raise RuntimeError("nothing was accepted any more")


def gap(server, sink, since):
    """Returns the times until the first message is accepted, and until it is delivered."""
    before = sink.count
    accepted = offer(server.port, "good", since)
    sink.wait(before + 1)
    return accepted, time.monotonic() - since


def timed(server, *arguments, first_line=False):
    """Returns the seconds that a subcommand takes; or until its first line, if the rest is not read."""
    started = time.monotonic()
    command = subprocess.Popen([str(PROGRAM), *arguments, "--config", str(server.server.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if first_line:
        command.stdout.readline()
        command.stdout.readline()
        took = time.monotonic() - started
        command.stdout.close()
        command.stderr.close()
        command.wait()
        return took
    said = command.communicate(timeout=PATIENCE)
    if command.returncode != 0:
        raise RuntimeError(f"{arguments}: {said}")
    return time.monotonic() - started


def octets_below(folder):
    return sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())


def oldest(server):
    """Returns the id of the message that has waited longest."""
    command = subprocess.Popen([str(PROGRAM), "queue", "list", "--config", str(server.server.config)], stdout=subprocess.PIPE, text=True)
    words = "".join(command.stdout.readline() for _ in range(10)).split()
    command.stdout.close()
    command.wait()
    return next(word for word in words if re.fullmatch("[0-9a-z]{12}", word))


def rates(server, sink):
    """Returns messages per second, accepted for a dead destination and relayed to a working one; and the
    queue process' CPU time for each in microseconds, which the machine's other work does not change."""
    queue, found = server.server.processes()["queue"], []
    for count, measure in ((backlog.PART, lambda: backlog.fill(server, DEAD[:1], backlog.PART)[0]),
                           (TURNS * backlog.COUNT, lambda: statistics.median(backlog.rate(server, sink, backlog.COUNT) for _ in range(TURNS)))):
        used = cpu_seconds(queue)
        found += [measure(), (cpu_seconds(queue) - used) / count * 1e6]
    return found


def commands(server):
    one = oldest(server)
    kinds = [("queue list, first line", ["queue", "list"], True), ("queue list, complete", ["queue", "list"], False),
             ("queue list --recipient (no match), all recipients searched", ["queue", "list", "--recipient", "nobody@nowhere.test"], False),
             ("queue stats", ["queue", "stats"], False), ("queue show ID", ["queue", "show", one], False),
             ("explain ID", ["explain", one], False), ("queue retry ID", ["queue", "retry", one], False),
             ("queue hold ID", ["queue", "hold", one], False), ("queue release ID", ["queue", "release", one], False),
             ("queue retry --all", ["queue", "retry", "--all"], False)]
    return [(name, timed(server, *arguments, first_line=first)) for name, arguments, first in kinds]


def beside(server, sink, arguments):
    """Returns the longest time that a message waits for its 250, and for its delivery, while a subcommand runs."""
    command = subprocess.Popen([str(PROGRAM), *arguments, "--config", str(server.server.config)], stdout=subprocess.DEVNULL)
    worst = [0, 0]
    while command.poll() is None:
        worst = [max(pair) for pair in zip(worst, gap(server, sink, time.monotonic()))]
    if command.returncode != 0:
        raise RuntimeError(f"{arguments}: exit {command.returncode}")
    return worst


def run(folder, depth):
    server, sink = backlog.Forwarding(folder), backlog.Sink()
    rows = []

    def row(what, empty, deep, unit):
        rows.append((what, empty, deep, unit))
        print(f"| {what} | {empty} | {deep} | {unit} |", flush=True)

    try:
        closed = free_port()
        server.start({"good.test": sink.port, **{f"{name}.test": closed for name in DEAD}})
        log_kept_short(server.server)
        queue = server.server.processes()["queue"][0]
        print(f"| | empty | {depth} queued | |\n| --- | --- | --- | --- |")
        empty = rates(server, sink)
        gaps_empty = gaps(server, sink)
        queue = server.server.processes()["queue"][0]
        weight = memory_kib(queue)
        filled = backlog.fill(server, DEAD, depth)
        row("accepted, the first and the last tenth of the filling", f"{statistics.median(filled[:max(1, len(filled) // 10)]):.0f}",
            f"{statistics.median(filled[-max(1, len(filled) // 10):]):.0f}", "per second")
        row("memory of the queue process", f"{weight / 1024:.1f}", f"{memory_kib(queue) / 1024:.1f}", "MiB")
        row("on disk", "", f"{octets_below(server.server.data / 'queue') / 2**30:.2f}", "GiB")
        deep = rates(server, sink)
        for what, unit, before, after in zip(("accepted", "… CPU of the queue process", "relayed to the working destination", "… CPU of the queue process"),
                                             ("per second", "µs per message") * 2, empty, deep):
            row(what, f"{before:.0f}", f"{after:.0f}", unit)
        for name, took in commands(server):
            row(name, "", f"{took:.3f}", "s")
        for name, arguments in (("queue list", ["queue", "list"]), ("queue retry --all", ["queue", "retry", "--all"])):
            accepted, delivered = beside(server, sink, arguments)
            row(f"longest wait for 250 during {name}", "", f"{accepted:.3f}", "s")
            row(f"longest wait for a delivery during {name}", "", f"{delivered:.3f}", "s")
        for (name, before), (_, after) in zip(gaps_empty, gaps(server, sink)):
            row(name, f"{before:.3f}", f"{after:.3f}", "s")
        return rows
    finally:
        server.stop()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


def gaps(server, sink):
    """Measures how long nothing is accepted, or delivered: after a kill of the queue process, SIGHUP, a restart."""
    ours, found = server.server, []
    queue = ours.processes()["queue"][0]
    since = time.monotonic()
    os.kill(queue, signal.SIGKILL)
    found += zip(("kill -9 of the queue process, to the next 250", "the same, to the next delivery"), gap(server, sink, since))
    since, at = time.monotonic(), len(ours.log)
    ours.process.send_signal(signal.SIGHUP)
    found += zip(("SIGHUP, to the next 250", "the same, to the next delivery"), gap(server, sink, since))
    until(lambda: ours.lines("reloaded"))
    since = time.monotonic()
    ours.stop()
    found.append(("SIGTERM, to the end", time.monotonic() - since))
    since = time.monotonic()
    ours.start(wait=False)
    found += zip(("start, to the first 250", "the same, to the first delivery"), gap(server, sink, since))
    until(lambda: ours.lines("ready"))
    log_kept_short(ours)
    return found
