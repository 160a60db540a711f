# SPDX-License-Identifier: Apache-2.0
"""The loads, and how one is measured: first a short load, which tells how many
messages fit into the time of a measurement, then that many.

Rates are measured by smtp-source, which is part of Postfix; it does not report the
times of single messages, so bench/load.c measures those (and TLS)."""
import contextlib
import os
import subprocess
import time
from collections import namedtuple
from pathlib import Path

from peers import postfix_environment, postfix_folder

FOLDER = Path(__file__).resolve().parent
# busy_us: what the whole machine spent on a message, the load and the sink included
Measured = namedtuple("Measured", "rate cpu_us p50_ms p99_ms busy_us")
C_FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]


FEWEST = 10  # minimum number of messages of one measurement
SLOW = 5  # factor: longer than this many times the intended duration is too slow


class OutOfTime(Exception):
    """The time limit of the run is reached."""


class TooSlow(Exception):
    """A load did not finish."""


def compile_load(folder):
    program = Path(folder) / "load"
    subprocess.run(["cc", *C_FLAGS, "-o", program, FOLDER / "load.c", "-lssl", "-lcrypto", "-lpthread"], check=True)
    return program


def smtp_source(port, connections, count, size, kept, to="user@sink.test", sender="bench@perf.test", helo=None):
    """Returns the command. Its default is one message per connection; -d keeps connections open. `size`: or
    the file of the message."""
    content = ["-F" if isinstance(size, Path) else "-l", str(size)]
    return [str(postfix_folder() / "usr/sbin/smtp-source"), *(["-d"] if kept else []), "-s", str(connections), "-m", str(count), *content,
            *(["-M", helo] if helo else []), "-f", sender, "-t", to, f"127.0.0.1:{port}"]


def bench_load(program, server, verb, connections, count, **options):
    """Returns the command of bench/load.c."""
    named = {"port": server.port, "connections": connections, "count": count, **({"from": server.sender, "to": server.recipient} if verb == "send" else {}), **options}
    return [str(program), verb, *(f"{name}={value}" for name, value in named.items() if value)]


class Clock:
    """The end of the whole run, and the duration of one measurement."""
    LOAD_S = 20  # a load that exceeds its duration by this hangs

    def __init__(self, seconds, minutes):
        self.seconds, self.ends = seconds, time.monotonic() + minutes * 60

    def left(self):
        return self.ends - time.monotonic()

    def patience(self, seconds=0):
        """Returns the timeout of a load with this intended duration."""
        if self.left() <= 0:
            raise OutOfTime
        return min(self.LOAD_S + max(SLOW * seconds, self.seconds), max(self.left(), 1))


def run_load(command, clock, seconds=0):
    """Returns the output of the load; kills it after the timeout."""
    patience = clock.patience(seconds)
    try:
        done = subprocess.run(command, env=postfix_environment(), capture_output=True, text=True, errors="replace", timeout=patience)
    except subprocess.TimeoutExpired:
        clock.patience()  # raises OutOfTime if the run is over: not the server's fault
        raise TooSlow(f"not done after {patience:.0f} s") from None
    if done.returncode != 0:
        raise RuntimeError((done.stderr + done.stdout).strip().splitlines()[0] if done.stderr + done.stdout else f"the load ended with {done.returncode}")
    return done.stdout


def measure_once(server, clock, command, count, until=None, seconds=0):
    """`until`: returns the time when everything has finished, if that is later than the load's end.
    `seconds`: the intended duration, if longer than the clock's."""
    cpu, busy, started = server.cpu_us(), busy_us(), time.monotonic()
    words = run_load(command, clock, seconds).split()
    if until is not None:
        until()
    took = time.monotonic() - started
    spent = ((server.cpu_us() - cpu) / count, (busy_us() - busy) / count)
    with contextlib.suppress(IndexError, ValueError):
        return Measured(float(words[0]), spent[0], float(words[1]), float(words[2]), spent[1])
    return Measured(count / took, spent[0], None, None, spent[1])


def busy_us():
    """Returns the time that all processors together have spent on anything."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK") * 1e6


class Counts:
    """The number of messages of a measurement, learned from the previous one."""

    def __init__(self):
        self.rates, self.slow = {}, set()  # by key; slow: keys that are measured only once

    def measure(self, key, fewest, clock, once, seconds=None, first=None):
        """`once(count)` measures that many. Returns the Measured of about `seconds` (clock.seconds), of at least
        `fewest`.

        `first`: the number of messages that gives the first rate, if less than `fewest`. A server that would
        need far too long for `fewest` gets one measurement of `seconds`.
        """
        seconds = seconds or clock.seconds
        if key not in self.rates:
            count = max(first or fewest, FEWEST)
            found = once(count)
            self.rates[key] = found.rate
            if max(count, fewest) / found.rate > SLOW * seconds:
                self.slow.add(key)
                return once(self.fitting(key, count, seconds)) if first else found
            self.rates[key] = once(self.fitting(key, count, seconds / 5)).rate  # the very first was cold
        count = self.fitting(key, fewest, seconds)
        found = once(count)
        self.rates[key] = found.rate
        if count / found.rate > SLOW * seconds:
            self.slow.add(key)
        return found

    def fitting(self, key, fewest, seconds):
        return max(fewest, FEWEST, round(self.rates[key] * seconds))
