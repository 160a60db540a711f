# SPDX-License-Identifier: Apache-2.0
"""Ten thousand concurrent connections over the four ports, six of ten with TLS and
authenticated; one in a hundred is sending a message at any time, and new clients
keep connecting (admission_control.c). Measures the memory of each connection, the time
of messages, and the cost while all are silent."""
import base64
import resource
import subprocess
import time
from pathlib import Path

from mailboat import ROOT, make_certificates, memory_kib, until
from faults import cpu_seconds
from soak_mixed import CRASHES, Server

USER, PASSWORD = "ada@example.org", "secret-of-ada"
PATIENCE_S = 900  # for the remaining deliveries after the clients have disconnected
PAUSE_MS = 200  # of an active client between two messages: with a hundred of them, 500 per second


def build(folder):
    program = Path(folder) / "crowd"
    subprocess.run(["cc", "-std=gnu11", "-O2", "-pthread", "-o", program, ROOT / "bench/crowd.c", "-lssl", "-lcrypto"], check=True)
    return program


class Crowd:
    def __init__(self, program, server, count):
        plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
        ports = [str(server.ports[port]) for port in (25, 587, 465, 2525)]
        self.process = subprocess.Popen([str(program), str(count), *ports, USER, plain, USER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hears(self):
        return self.process.stdout.readline().split()

    def obeys(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.hears()

    def leaves(self):
        self.process.stdin.close()
        self.process.wait()


def pids_of(server):
    return [server.process.pid] + [pid for pids in server.processes().values() for pid in pids]


def weight_kib(server):
    return sum(memory_kib(pid) for pid in pids_of(server))


def wakeups(pids):
    """Returns how often the processes have slept and been woken."""
    return sum(int(line.split()[1]) for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("voluntary_ctxt"))


def in_ms(words):
    return " / ".join(f"{int(word) / 1000:.1f}" for word in words)


def run(folder, count, active_s=60, silent_s=60):
    """Prints the results; returns a list of violations."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder.mkdir(parents=True)
    tls = folder / "tls"
    tls.mkdir()
    server, wrongs = Server(folder / "server", make_certificates(tls), limits=f"limits: {{connections: {2 * count + 100}}}\n"), []
    crowd = None

    def row(what, value):
        print(f"| {what} | {value} |", flush=True)

    try:
        server.start()
        server.add_user(USER, PASSWORD)
        program = build(folder)
        warm = Crowd(program, server, min(count, 20))
        warm.hears()
        warm.obeys("active 10 1 0")
        warm.leaves()
        before, began, first = weight_kib(server), time.monotonic(), warm_arrivals(server)
        crowd = Crowd(program, server, count)
        _, opened, failed = crowd.hears()
        print(f"| {count} connections | |\n| --- | --- |")
        row("opened, greeted, with TLS and authentication where required", f"{opened} in {time.monotonic() - began:.1f} s, {failed} failed")
        row("memory per connection, all processes together", f"{(weight_kib(server) - before) / count:.1f} KiB")
        wrongs += [f"{failed} could not be opened"] if int(failed) or int(opened) != count else []
        pids = pids_of(server)
        used, woken = cpu_seconds(pids), wakeups(pids)
        time.sleep(silent_s)
        used, woken = cpu_seconds(pids) - used, wakeups(pids) - woken
        row(f"CPU in {silent_s} s of silence", f"{used:.2f} s, {woken} wake-ups")
        wrongs += [f"{used:.2f} s of CPU while nothing happened"] if used > silent_s * 0.002 + 0.05 else []
        sent = 0
        for pause_ms, seconds in ((PAUSE_MS, active_s), (0, max(1, active_s // 3))):
            words = crowd.obeys(f"active {max(1, count // 100)} {seconds} {pause_ms}")
            sent += int(words[1])
            title = f"{max(1, count // 100)} active, " + (f"each a message in {pause_ms} ms" if pause_ms else "one message after the other")
            row(f"{title}: messages, failed", f"{words[1]} ({int(words[1]) / seconds:.0f} per second), {words[2]}")
            row("… per message: p50 / p99 / longest", f"{in_ms(words[3:6])} ms")
            row("… a new client is greeted", f"{in_ms(words[7:10])} ms")
            row("… a new client's message is accepted", f"{in_ms(words[11:14])} ms")
            wrongs += [f"{words[2]} failed while {title}"] if int(words[2]) else []
        word, alive, failed = crowd.obeys("still")
        row("still connected at the end", alive)
        wrongs += [f"{count - int(alive)} connections are gone"] if int(alive) != count else []
        row("memory per connection after that", f"{(weight_kib(server) - before) / count:.1f} KiB")
        crowd.leaves()
        crowd = None
        until(lambda: server.events["delivered"] >= first + sent, PATIENCE_S)
        arrived = len(list((server.maildir(USER) / "new").iterdir()))
        row("accepted, and in the mailbox", f"{first + sent}, {arrived}")
        wrongs += [f"{arrived} arrived of {first + sent}"] if arrived != first + sent else []
        wrongs += [f"log: {line}" for line in server.kept] + [f"{server.events[name]} {name}" for name in ("queue_write_failed", "connection_rejected", "reply_rejected", *CRASHES) if server.events[name]]
        return wrongs
    finally:
        if crowd is not None:
            crowd.process.kill()
        server.stop()


def warm_arrivals(server):
    until(lambda: server.events["delivered"] == server.events["accepted"])
    return server.events["delivered"]
