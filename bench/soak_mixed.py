# SPDX-License-Identifier: Apache-2.0
"""All kinds of mail and of clients for a long time: checks that memory is flat, that
no descriptor is leaked and no file left, and that each accepted message arrived once.

Reloads happen in the first part, every three minutes, and at the end: each
replaces the processes. Between these, processes run for a long time, and their
early and late memory is compared."""
import json
import os
import random
import signal
import ssl
import statistics
import threading
import time
from collections import Counter
from pathlib import Path

from mailboat import Mailboat, free_port, make_certificates
import soak_clients as clients
from soak_book import Book
from soak_sink import MoodySink

LANES, SAMPLE_S, RELOAD_S, SETTLE_S = 16, 15, 180, 120
EXPIRY_S = 90 + 5 * 60 + 60  # expiry time, grace, and the sweep that finds it
PSS, RSS, FILES = 2, 3, 4  # of a sample: role, process id, KiB, KiB, open descriptors
ROLES = ("supervisor", "smtpd", "auth", "queue", "relay", "local", "pickup", "web", "trust", "sign", "report")
CRASHES = ("process_died", "shutdown_timeout", "store_failed", "restart_failed", "start_failed")


class Server(Mailboat):
    """A server whose log lines are counted, not stored."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.events, self.kept = Counter(), []

    def _read_log(self, process):
        for line in process.stderr:
            words = line.split(" ", 4)
            with self.changed:
                self.log.append(line.rstrip("\n"))
                if len(self.log) > 4000:
                    del self.log[:2000]
                if len(words) > 3:
                    self.events[words[3]] += 1
                if len(words) < 4 or words[3] in CRASHES or (words[1] == "error" and words[3] != "queue_write_failed"):
                    self.kept.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.log.append("(end of log)")
            self.changed.notify_all()


class Town:
    """The server, its peers, and the state that clients share."""

    def __init__(self, folder, expiring):
        self.book, self.ended, self.expiring = Book(), threading.Event(), expiring
        self.socket_lock, self.silent_room = threading.Lock(), threading.Semaphore(200)
        self.collecting = threading.Lock()
        retry = "{first: 1s, factor: 2, max: 5s, expire: 90s}" if expiring else "{first: 200ms, factor: 2, max: 1s}"
        tls = folder / "tls"
        tls.mkdir(parents=True)
        certificates = make_certificates(tls)
        self.sinks = [MoodySink(self.book), MoodySink(self.book, certificates), MoodySink(self.book, extensions=("8BITMIME",))]
        routes = "".join(f"    - {{domain: {domain}, host: 127.0.0.1, port: {port}, tls: {mode}}}\n" for domain, port, mode in (
            ("sink.test", self.sinks[0].port, "none"), ("tls.test", self.sinks[1].port, "encrypt"),
            ("chunks.test", self.sinks[2].port, "may"), ("gone.test", free_port(), "none")))
        self.web_port = free_port()
        self.server = Server(folder / "server", certificates, relay=f"relay:\n  routes:\n{routes}",
                             extra=f"queue: {{retry: {retry}}}\nweb: {{address: 127.0.0.1, port: {self.web_port}}}\n")
        self.tls = ssl.create_default_context(cafile=str(self.server.ca))

    def start(self):
        self.server.start()
        for user in clients.USERS + ["guessed@example.org"]:
            self.server.add_user(user, clients.PASSWORD)

    def collect(self, user):
        """Records the messages that arrived in a mailbox."""
        new = self.server.maildir(user) / "new"
        with self.collecting:
            for path in list(new.iterdir()) if new.is_dir() else []:
                content = path.read_bytes()
                path.unlink()
                self.book.got(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), [user])

    def collects(self):
        while not self.ended.wait(0.2):
            for user in clients.USERS:
                self.collect(user)

    def waiting(self):
        """Returns the number of recipients in the queue, in any state."""
        return json.loads(self.server.cli("queue", "stats", "--json").stdout)["recipients"]

    def left_behind(self):
        """Returns the files that must not exist when the queue is empty."""
        queue = self.server.data / "queue"
        return [str(p.relative_to(self.server.data)) for folder in (queue / "content", queue / "spool", self.server.data / "drop")
                for p in folder.rglob("*") if p.is_file()]

    def stop(self):
        self.ended.set()
        self.server.stop()
        for sink in self.sinks:
            sink.stop()


# ---- measures ----

def weigh(pid):
    """Returns (PSS, RSS) in KiB and open descriptors."""
    facts = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(facts["Pss"].split()[0]), int(facts["Rss"].split()[0]), len(os.listdir(f"/proc/{pid}/fd"))


def sample(town, began):
    found = {"s": time.monotonic() - began, "accepted": town.server.events["accepted"], "processes": []}
    pids = {"supervisor": [town.server.process.pid], **town.server.processes()}
    for role, those in pids.items():
        for pid in those:
            try:
                found["processes"].append((role, pid, *weigh(pid)))
            except (OSError, KeyError, ProcessLookupError):  # it has ended
                pass
    queue = town.server.data / "queue"
    found["database"] = sum((queue / name).stat().st_size for name in ("mailboat.db", "mailboat.db-wal") if (queue / name).exists())
    return found


def of_role(one, role):
    return [p for p in one["processes"] if p[0] == role]


def total(one, role, column=PSS):
    return sum(p[column] for p in of_role(one, role))


def lives(samples, role, column=RSS):
    """Returns (accepted, memory) of each process over its lifetime. RSS, because PSS counts
    a share of each shared page, which grows when the other processes end."""
    found = {}
    for one in samples:
        for process in of_role(one, role):
            found.setdefault(process[1], []).append((one["accepted"], process[column]))
    return found


def growth(points):
    """Returns KiB per 100,000 messages, by least squares over one process' lifetime."""
    if len(points) < 3:
        return 0.0
    middle_x, middle_y = (statistics.mean(column) for column in zip(*points))
    square = sum((x - middle_x) ** 2 for x, _ in points)
    return 0.0 if square == 0 else 100000 * sum((x - middle_x) * (y - middle_y) for x, y in points) / square


def thirds(points):
    """Returns the medians of the first and the last third after the warm-up, a fifth of the lifetime."""
    settled = points[len(points) // 5:]
    part = max(1, len(settled) // 3)
    return statistics.median(y for _, y in settled[:part]), statistics.median(y for _, y in settled[-part:]), settled


def oldest(samples, role, column=RSS):
    """Returns the longest-lived process of that role."""
    return max(lives(samples, role, column).values(), key=len, default=[])


# ---- the soak ----

def lane(town, seed, pause_s):
    chance = random.Random(seed)
    kinds, shares = zip(*clients.KINDS)
    due = time.monotonic() + chance.random() * pause_s
    while not town.ended.wait(max(0, due - time.monotonic())):
        kind = chance.choices(kinds, shares)[0]
        due = max(due + pause_s, time.monotonic() - 1)
        try:
            kind(town, chance)
        except (OSError, clients.Odd, AssertionError) as error:
            if not town.ended.is_set():
                town.book.strange(kind.__name__, f"{type(error).__name__}: {error}")


def reloads(seconds):
    """Returns the times of reloads: every three minutes at first, and once near the end."""
    times = [t for t in range(RELOAD_S, int(seconds * 0.35) + 1, RELOAD_S)] or [seconds * 0.3]
    return times + [seconds * 0.95]


def head():
    print("| minute | accepted | waiting | database MiB | " + " | ".join(f"{role} MiB, files" for role in ROLES) + " |")
    print("| --- " * (4 + len(ROLES)) + "|", flush=True)


def line_of(one, waiting):
    cells = [f"{total(one, role) / 1024:.1f}, {total(one, role, FILES)}" for role in ROLES]
    print(f"| {one['s'] / 60:.1f} | {one['accepted']} | {waiting} | {one['database'] / 2**20:.1f} | " + " | ".join(cells) + " |", flush=True)


def drive(town, seconds, turns_a_second, report_s):
    """Runs the soak; returns the samples."""
    samples, began, due_reloads = [], time.monotonic(), reloads(seconds)
    every_s = min(SAMPLE_S, seconds / 20)
    driving = [threading.Thread(target=lane, args=(town, seed, LANES / turns_a_second), daemon=True) for seed in range(LANES)]
    threading.Thread(target=town.collects, daemon=True).start()
    for thread in driving:
        thread.start()
    told, expiring_until = 0.0, seconds - EXPIRY_S if town.expiring else 0
    head()
    while (passed := time.monotonic() - began) < seconds:
        if due_reloads and passed >= due_reloads[0]:
            due_reloads.pop(0)
            town.server.process.send_signal(signal.SIGHUP)
        town.expiring = passed < expiring_until
        samples.append(sample(town, began))
        if passed >= told:
            told += report_s
            line_of(samples[-1], town.waiting())
        time.sleep(max(0, every_s - (time.monotonic() - began - passed)))
    town.ended.set()
    for thread in driving:
        thread.join(clients.PATIENCE + 30)
    return samples, began


def settle(town, patience_s):
    """Waits until the queue is empty and no more mail arrives."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        for user in clients.USERS:
            town.collect(user)
        if town.waiting() == 0 and not town.left_behind() and not town.book.wrongs():
            break
        time.sleep(0.2)


def descriptors(town):
    """Returns role -> the most descriptors that one of its processes has open."""
    one = sample(town, 0)
    return {role: max((p[FILES] for p in of_role(one, role)), default=0) for role in ROLES}


def descriptors_settled(town, before):
    """Returns the counts that have grown, after sessions have had time to end."""
    deadline = time.monotonic() + SETTLE_S / 4
    while True:
        now = descriptors(town)
        more = {role: (before[role], now[role]) for role in ROLES if now[role] > before[role]}
        if not more or time.monotonic() > deadline:
            return now, more
        time.sleep(0.2)


def run(folder, minutes, turns_a_second=80, plot=None):
    """Prints the results; returns a list of violations."""
    seconds = minutes * 60
    long = seconds >= 2 * EXPIRY_S
    town = Town(folder, expiring=long)
    try:
        town.start()
        before = descriptors(town)
        samples, began = drive(town, seconds, turns_a_second, 60 if long else max(1, seconds / 5))
        settle(town, SETTLE_S if long else SETTLE_S / 4)
        samples.append(sample(town, began))
        line_of(samples[-1], town.waiting())
        after, lost = descriptors_settled(town, before)
        wrongs = tell(town, samples, before, after, lost)
        if plot:
            Path(plot).write_text(svg(samples))
        return wrongs
    finally:
        town.stop()


def flatness(samples, role):
    """Compares early and late memory of the oldest process of a role, and its growth."""
    points, shared = oldest(samples, role), oldest(samples, role, PSS)
    if not points:
        return f"| {role} | | | | |"
    first, last, settled = thirds(points)
    return f"| {role} | {first / 1024:.2f} | {last / 1024:.2f} | {growth(settled):+.0f} | {thirds(shared)[1] / 1024:.2f} |"


def tell(town, samples, before, after, lost):
    book, events = town.book, town.server.events
    print("\n| process | RSS, first third, MiB | last third | KiB per 100,000 messages | PSS, last third | descriptors before | at the end |\n" + "| --- " * 7 + "|")
    for role in ROLES:
        print(flatness(samples, role) + f" {before[role]} | {after[role]} |")
    counts, wrongs = book.counts(), book.wrongs()
    print(f"\n{counts['accepted']} messages got 250, {counts['unknown']} clients left before the reply, {counts['refused']} before the end; "
          f"{book.arrivals} arrivals, {book.octets / 2**20:.0f} MiB; {book.reports} reports; {book.duplicates()} came once more, "
          "each after a receiver that took it and hung up.")
    print("The sinks: " + ", ".join(f"{name} {count}" for name, count in sum((s.moods for s in town.sinks), Counter()).most_common()) + ".")
    print("The log: " + ", ".join(f"{name} {count}" for name, count in events.most_common()) + ".")
    wrongs += [f"unexpected: {text} ({count} times)" for text, count in book.odd.most_common()]
    wrongs += [f"a report about nothing: {text} ({count} times)" for text, count in book.strangers.items()]
    wrongs += [f"{role} had {was} descriptors open and has {now}" for role, (was, now) in lost.items()]
    wrongs += [f"left behind: {name}" for name in town.left_behind()]
    wrongs += [f"log: {line}" for line in town.server.kept]
    left = town.waiting()
    wrongs += [f"{left} still wait"] if left else []
    return wrongs


# ---- the chart ----

COLOURS = ("#888888", "#3b82f6", "#d97706", "#16a34a", "#dc2626", "#9333ea", "#0891b2", "#be185d")


def svg(samples):
    """Draws memory (RSS of all processes of a role) over time; legible on a light and a dark background."""
    width, height, left, top, right, bottom = 760, 380, 48, 24, 110, 40
    end_s = samples[-1]["s"]
    highest = max(total(one, role, RSS) for one in samples for role in ROLES) / 1024
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if highest / s <= 8)
    most = step * (int(highest / step) + 1)

    def x(s):
        return left + (width - left - right) * s / end_s

    def y(mib):
        return height - bottom - (height - top - bottom) * mib / most

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             "<style>text{fill:#222}.grid{stroke:#ccc}@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}}</style>",
             f'<text x="{left}" y="14">memory (RSS) in MiB of all processes of a kind, over the minutes</text>']
    for mib in range(0, most + 1, step):
        parts += [f'<line class="grid" x1="{left}" y1="{y(mib):.1f}" x2="{width - right}" y2="{y(mib):.1f}"/>',
                  f'<text x="{left - 6}" y="{y(mib) + 4:.1f}" text-anchor="end">{mib}</text>']
    minutes = max(1, int(end_s / 60))
    for minute in range(0, minutes + 1, max(1, minutes // 10)):
        parts.append(f'<text x="{x(minute * 60):.1f}" y="{height - bottom + 18}" text-anchor="middle">{minute}</text>')
    names = []
    for role, colour in zip(ROLES, COLOURS):
        points = " ".join(f"{x(one['s']):.1f},{y(total(one, role, RSS) / 1024):.1f}" for one in samples)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        names.append((y(total(samples[-1], role, RSS) / 1024), role, colour))
    at = 0.0
    for level, role, colour in sorted(names):  # labels must not overlap
        at = max(level + 4, at + 14)
        parts.append(f'<text x="{width - right + 6}" y="{at:.1f}" style="fill:{colour}">{role}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"
