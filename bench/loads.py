# SPDX-License-Identifier: Apache-2.0
"""The loads, and how one is measured: first a short one to know how many
messages fit into the time that a measurement may take, then that many.

Rates are those of smtp-source, which Postfix's author wrote; it has no times
of single messages, so those (and TLS) are bench/load.c's."""
import contextlib
import subprocess
import time
from collections import namedtuple
from pathlib import Path

from peers import postfix_environment, postfix_folder

FOLDER = Path(__file__).resolve().parent
Measured = namedtuple("Measured", "rate cpu_us p50_ms p99_ms")
C_FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]


FEWEST = 10  # messages of one measurement
SLOW = 5  # so many times longer than a measurement is meant to take


class OutOfTime(Exception):
    """The run has lasted as long as it may."""


class TooSlow(Exception):
    """A load did not come to its end."""


def compile_load(folder):
    program = Path(folder) / "load"
    subprocess.run(["cc", *C_FLAGS, "-o", program, FOLDER / "load.c", "-lssl", "-lcrypto", "-lpthread"], check=True)
    return program


def smtp_source(port, connections, count, size, kept, to="user@sink.test"):
    """The command. As Postfix ships it, one message a connection; -d keeps them."""
    return [str(postfix_folder() / "usr/sbin/smtp-source"), *(["-d"] if kept else []), "-s", str(connections), "-m", str(count), "-l", str(size),
            "-f", "bench@perf.test", "-t", to, f"127.0.0.1:{port}"]


def bench_load(program, server, verb, connections, count, **options):
    """The command of bench/load.c."""
    named = {"port": server.port, "connections": connections, "count": count, **({"from": server.sender, "to": server.recipient} if verb == "send" else {}), **options}
    return [str(program), verb, *(f"{name}={value}" for name, value in named.items() if value)]


class Clock:
    """When the whole run ends, and how long one measurement lasts."""
    LOAD_S = 20  # a load that takes so much longer than it may, hangs

    def __init__(self, seconds, minutes):
        self.seconds, self.ends = seconds, time.monotonic() + minutes * 60

    def left(self):
        return self.ends - time.monotonic()

    def patience(self, seconds=0):
        """How long a load may take that is meant to last so long."""
        if self.left() <= 0:
            raise OutOfTime
        return min(self.LOAD_S + max(SLOW * seconds, self.seconds), max(self.left(), 1))


def run_load(command, clock, seconds=0):
    """Returns its output; kills it after the timeout."""
    patience = clock.patience(seconds)
    try:
        done = subprocess.run(command, env=postfix_environment(), capture_output=True, text=True, errors="replace", timeout=patience)
    except subprocess.TimeoutExpired:
        clock.patience()  # when it was the run that ended, that is not the server's fault
        raise TooSlow(f"not done after {patience:.0f} s") from None
    if done.returncode != 0:
        raise RuntimeError((done.stderr + done.stdout).strip().splitlines()[0] if done.stderr + done.stdout else f"the load ended with {done.returncode}")
    return done.stdout


def measure_once(server, clock, command, count, until=None, seconds=0):
    """`until`: returns when everything has come to its end, if that is later than the load's.
    `seconds`: how long it is meant to last, where that is longer than the clock's."""
    cpu, started = server.cpu_us(), time.monotonic()
    words = run_load(command, clock, seconds).split()
    if until is not None:
        until()
    took = time.monotonic() - started
    with contextlib.suppress(IndexError, ValueError):
        return Measured(float(words[0]), (server.cpu_us() - cpu) / count, float(words[1]), float(words[2]))
    return Measured(count / took, (server.cpu_us() - cpu) / count, None, None)


class Counts:
    """How many messages a measurement takes; learned from the one before it."""

    def __init__(self):
        self.rates, self.slow = {}, set()  # by key; slow: for them once has to do

    def measure(self, key, fewest, clock, once, seconds=None, first=None):
        """`once(count)` measures so many. Returns the Measured of about `seconds` (clock.seconds), of `fewest` at least.

        `first`: how many tell the rate for the first time, where that is less than `fewest`. For a server that would
        need far too long for `fewest`, one measurement of `seconds` has to do.
        """
        seconds = seconds or clock.seconds
        if key not in self.rates:
            count = max(first or fewest, FEWEST)
            found = once(count)
            self.rates[key] = found.rate
            if max(count, fewest) / found.rate > SLOW * seconds:
                self.slow.add(key)
                return once(self.fitting(key, count, seconds)) if first else found
            self.rates[key] = once(self.fitting(key, count, seconds / 5)).rate  # the first of all was a cold one
        count = self.fitting(key, fewest, seconds)
        found = once(count)
        self.rates[key] = found.rate
        if count / found.rate > SLOW * seconds:
            self.slow.add(key)
        return found

    def fitting(self, key, fewest, seconds):
        return max(fewest, FEWEST, round(self.rates[key] * seconds))
