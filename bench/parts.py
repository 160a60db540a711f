# SPDX-License-Identifier: Apache-2.0
"""The parts of the measurement, in this order. ONCE: syncs, memory, failover.
IN_TURNS, repeated in each run: limits of the machine, relay, submission, accept
and latency, and those of trust_parts.py; each with one server after the other."""
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import time
from pathlib import Path

import failover
from cases import (ACCEPT_CASES, IDLE_CONNECTIONS, IDLE_WARM, KIB, LATENCY_CASES, OPENED_SYNCED, RELAY_CASE, RELAY_COLD, RELAY_CONNECTIONS,
                   RELAY_FEWEST, RELAY_FIRST, RELAY_SECONDS, STEADY_FROM, SUBMISSION_CASES, SUBMISSION_COLD, SUBMISSION_CONNECTIONS,
                   SUBMISSION_FIRST, SYNC_CASES)
from loads import Counts, OutOfTime, TooSlow, bench_load, measure_once, smtp_source
from mailboat import memory_kib
from servers import SERVERS, started
from sink import Sink
from syncs import SyncCounter
from trust_parts import TRUST_PARTS

PLAIN_SYNCS = 200
FAULTS = (RuntimeError, OSError, AssertionError, subprocess.SubprocessError, TooSlow)


def one_line(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


class Measuring:
    """State shared by the parts."""

    def __init__(self, figures, clock, folder, load, say, names, wanted):
        self.figures, self.clock, self.folder, self.load, self.say = figures, clock, Path(folder), load, say
        self.names, self.wanted = names, wanted
        self.counts, self.started = Counts(), 0

    def each(self, part, mode, measure, to=None, **options):
        """Calls measure(server) for each server that has the mode, running, one after the other.
        A server that cannot start, or that fails outside a case, is omitted from then on."""
        for name in self.names:
            if mode not in SERVERS[name].modes or self.figures.why_left_out(part, "", name):
                continue
            self.clock.patience()
            self.say(f"{part}: {name}")
            try:
                with started(SERVERS[name], self.new_folder(name), mode, to, program_of_load=self.load, **options) as server:
                    measure(server)
            except FAULTS as error:
                self.leave_out(part, "", name, error)
            os.sync()  # so that the next server does not pay for unwritten data

    def new_folder(self, name):
        """Returns the path of a folder that is not there yet."""
        self.started += 1
        return self.folder / f"{name}-{self.started}"

    def leave_out(self, part, case, server_name, error):
        why = one_line(error)
        self.say("")
        self.say(f"{part}{', ' * bool(case)}{case}: {server_name} is left out: {why}", lasting=True)
        self.figures.leave_out(part, case, server_name, why)

    def cold(self, part, case, server, count, once):
        """Measures the first messages of a server that has just started; None as for case()."""
        if not self.wanted.search(case) or self.figures.why_left_out(part, case, server.name):
            return None
        self.say(f"{part}: {server.name}, {case}")
        try:
            return once(count)
        except FAULTS as error:
            self.leave_out(part, case, server.name, error)
            return None

    def case(self, part, case, server, fewest, once, **options):
        """Returns one measurement; None if it is not requested, or if the server is omitted
        now or since an earlier turn, or was so slow that it is measured only once."""
        key = (part, case, server.name)
        if not self.wanted.search(case) or self.figures.why_left_out(part, case, server.name) or key in self.counts.slow:
            return None
        self.say(f"{part}: {server.name}, {case}")
        try:
            return self.counts.measure(key, fewest, self.clock, once, **options)
        except FAULTS as error:
            self.leave_out(part, case, server.name, error)
            return None

    def add(self, part, case, server, found, *whats):
        for what in whats if found else ():
            unit = {"rate": "messages a second", "cpu_us": "µs", "busy_us": "µs", "p50_ms": "ms", "p99_ms": "ms"}[what]
            self.figures.add(part, case, what, unit, server.name, getattr(found, what))


# ---- in turns ----

def limits(m):
    """Measures a plain sync on this disk: 4 KiB appended and fdatasync, in sequence."""
    m.say("limits")
    taken_ms = []
    path = m.folder / "plain_sync"
    with open(path, "wb", buffering=0) as file:
        for _ in range(PLAIN_SYNCS):
            started = time.monotonic()
            file.write(b"x" * 4 * KIB)
            os.fdatasync(file.fileno())
            taken_ms.append((time.monotonic() - started) * 1000)
    path.unlink()
    m.figures.add("limits", "plain sync of 4 KiB", "p50_ms", "ms", "disk", statistics.median(taken_ms))
    m.figures.add("limits", "plain sync of 4 KiB", "p99_ms", "ms", "disk", statistics.quantiles(taken_ms, n=100)[98])
    m.figures.add("limits", "plain sync of 4 KiB", "rate", "a second", "disk", PLAIN_SYNCS / sum(taken_ms) * 1000)


def accept(m):
    def measure(server):
        for case, connections, size, kept in ACCEPT_CASES:
            found = m.case("accept", case, server, connections,
                           lambda count: measure_once(server, m.clock, smtp_source(server.port, connections, count, size, kept), count))
            m.add("accept", case, server, found, "rate", "cpu_us")
        for case, connections, kept in LATENCY_CASES:
            found = m.case("latency", case, server, connections,
                           lambda count: measure_once(server, m.clock, bench_load(m.load, server, "send", connections, count, size=4 * KIB, kept=int(kept)), count))
            m.add("latency", case, server, found, "p50_ms", "p99_ms")
    m.each("accept", "accept", measure)


def relay(m):
    with Sink() as sink:
        def measure(server):
            seconds = RELAY_SECONDS if m.clock.seconds >= STEADY_FROM else m.clock.seconds

            def once(count):
                wanted = sink.count + count
                return measure_once(server, m.clock, smtp_source(server.port, RELAY_CONNECTIONS, count, 4 * KIB, True), count,
                                    until=lambda: sink.wait(wanted, m.clock.patience(seconds)), seconds=seconds)
            m.add("relay", RELAY_COLD, server, m.cold("relay", RELAY_COLD, server, RELAY_FIRST, once), "rate", "cpu_us")
            found = m.case("relay", RELAY_CASE, server, RELAY_FEWEST, once, seconds=seconds, first=RELAY_FIRST)
            m.add("relay", RELAY_CASE, server, found, "rate", "cpu_us")
        m.each("relay", "relay", measure, to=sink.port)


def submission(m):
    def measure(server):
        if server.name == "nothing-stored":
            cases = [("shake", "new", {})]
        else:
            send = {"size": 4 * KIB, "tls": 1, "plain": server.plain}
            cases = [("send", "new", send), ("send", "resumed", {**send, "resume": 1})]
        def once_of(verb, options):
            return lambda count: measure_once(server, m.clock, bench_load(m.load, server, verb, SUBMISSION_CONNECTIONS, count, **options), count)
        if server.name != "nothing-stored":
            m.say(f"submission: {server.name}, {SUBMISSION_COLD}")
            found = once_of("send", cases[0][2])(SUBMISSION_FIRST)  # a server that cannot do it at all fails here
            m.add("submission", SUBMISSION_COLD, server, found, "rate", "cpu_us", "p50_ms", "p99_ms")
        for verb, sessions, options in cases:
            case = SUBMISSION_CASES[sessions]
            found = m.case("submission", case, server, SUBMISSION_CONNECTIONS, once_of(verb, options))
            m.add("submission", case, server, found, "rate", "cpu_us", "p50_ms", "p99_ms")
    m.each("submission", "submission", measure)


# ---- once ----

def syncs(m):
    """Measures syncs per message, and whether a server that replies 250 has made any."""
    counter = SyncCounter(m.folder)

    def measure(server):
        begun = counter.read()
        if begun.processes == 0:
            raise RuntimeError("its processes could not be counted")
        for case, connections, kept, count in SYNC_CASES:
            if not m.wanted.search(case):
                continue
            before = counter.read()
            try:
                measure_once(server, m.clock, smtp_source(server.port, connections, count, 4 * KIB, kept), count)
            except FAULTS as error:
                m.leave_out("syncs", case, server.name, error)
                continue
            after = counter.read()
            asked = after.file_syncs + after.disk_syncs - before.file_syncs - before.disk_syncs
            m.figures.add("syncs", case, "syncs", "a message", server.name, asked / count)
        m.figures.add("syncs", OPENED_SYNCED, "opens", "", server.name, counter.read().synced_opens - begun.synced_opens)

    def measure_own(server):
        try:
            measure(server)
        finally:
            counter.clear()
    m.each("syncs", "accept", measure_own, preloaded=counter.library)


def connect_idle(server):
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    connection.recv(100)
    return connection


def total_memory_kib(server):
    found = 0
    for pid in server.pids():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            found += memory_kib(pid)
    return found


def memory(m):
    """Measures the memory of all the server's processes: with few connections, and for each further idle one."""
    def measure(server):
        warm = [connect_idle(server) for _ in range(IDLE_WARM)]
        at_rest = total_memory_kib(server)
        idle = [connect_idle(server) for _ in range(IDLE_CONNECTIONS)]
        each = (total_memory_kib(server) - at_rest) / IDLE_CONNECTIONS
        for connection in warm + idle:
            connection.close()
        m.figures.add("memory", f"with {IDLE_WARM} idle connections", "memory", "MiB", server.name, at_rest / 1024)
        m.figures.add("memory", "each further idle connection", "memory", "KiB", server.name, each)
    m.each("memory", "accept", measure)


def blocked_ports(m):
    """The columns are not servers but programs that send a message to one."""
    try:
        failover.measure(m.figures, m.folder / "failover", m.say, m.clock)
    except FAULTS as error:
        m.leave_out("failover", "", "mailboat", error)
    shutil.rmtree(m.folder / "failover", ignore_errors=True)


ONCE = {"syncs": syncs, "memory": memory, "failover": blocked_ports}
IN_TURNS = {"limits": limits, "relay": relay, "submission": submission, "accept": accept, **TRUST_PARTS}
PARTS = {**ONCE, **IN_TURNS}


def measure_all(m, parts, runs):
    """Repeats runs until two of them agree; at most the requested number, and only as many as fit into the
    time: a run starts only if it can end in time, assuming the duration of the previous one."""
    try:
        for name, part in ONCE.items():
            if name in parts:
                part(m)
        lasted = 0
        for turn in range(runs):
            if turn > 0 and m.clock.left() < lasted:
                m.say(f"the time is over after {turn} of {runs} runs", lasting=True)
                return
            began = time.monotonic()
            for name, part in IN_TURNS.items():
                if name in parts:
                    m.say.run = f"run {turn + 1} of {runs}, "
                    part(m)
            lasted = time.monotonic() - began
            if turn > 0 and not m.figures.doubtful():
                m.say(f"two of {turn + 1} runs agree", lasting=True)
                return
    except OutOfTime:
        m.say("the time is over in the middle of a run", lasting=True)
        m.figures.about["cut_short"] = True
