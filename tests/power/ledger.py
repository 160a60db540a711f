# SPDX-License-Identifier: Apache-2.0
"""Records what was promised and what happened: each message that got 250 (or exit status 0), each copy that
arrived, and each result that the server's log reports as recorded. From these it finds lost messages, and
second copies without a reason."""
import re
import threading
from collections import Counter, defaultdict

TOKEN = re.compile(rb"^X-Token: (\d+)\r?$", re.M)
QUEUE_ID = re.compile(rb"\bid ([0-9A-Za-z]+)")
DELIVERED = re.compile(r" delivered .*?\bid=(\S+).*? to=(\S+)")
LARGE_EACH, LARGE_LINES, SMALL_LINES = 16, (520, 1100), (4, 40)  # lines of 64 octets; the queue stores large ones as files


def body(token):
    """Returns a unique body for each message, which can be recognized."""
    low, high = LARGE_LINES if token % LARGE_EACH == 0 else SMALL_LINES
    lines = low + token * 7919 % (high - low)
    return (f"{token:010d} " + "of the load " * 4 + "....\r\n").encode() * lines


def compose(token, sender, recipients):
    return f"From: <{sender}>\r\nTo: {', '.join(recipients)}\r\nSubject: load\r\nX-Token: {token}\r\n\r\n".encode() + body(token)


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.life = 1
        self.accepted = {}                    # token -> (recipients, how)
        self.copies = defaultdict(list)       # (token, recipient) -> (life, queue id) of each copy, oldest first
        self.recorded = {}                    # (queue id, recipient) -> the first life that reported it
        self.again = defaultdict(set)         # token of a dropped file -> lives in which it reappeared
        self.stayed = {}                      # life -> tokens of dropped files still present at its end
        self.ways = Counter()
        self.damaged, self.unexplained, self.duplicates = [], [], Counter()

    def accept(self, token, recipients, how):
        with self.lock:
            self.accepted[token] = (recipients, how)
            self.ways[how] += 1

    def arrive(self, text, recipient, where, life):
        """Records a copy, with its header."""
        text = text.replace(b"\r\n", b"\n")
        head, _, rest = text.partition(b"\n\n")
        token, queue_id = TOKEN.search(head), QUEUE_ID.search(head)
        with self.lock:
            if token is None or queue_id is None or rest != body(int(token[1])).replace(b"\r\n", b"\n"):
                self.damaged.append(f"{where}: {recipient} in life {life}: {len(text)} octets, {head[:200]}")
                return
            token, queue_id = int(token[1]), queue_id[1].decode()
            copies = self.copies[token, recipient]
            copies.append((life, queue_id))
            if len(copies) > 1:
                self._explain(token, recipient, where, copies)

    def _explain(self, token, recipient, where, copies):
        life, queue_id = copies[-1]
        same = [c for c in copies[:-1] if c[1] == queue_id]
        if same:
            good = same[-1][0] < life and self.recorded.get((queue_id, recipient), life) >= life
        else:
            good = len({c[1] for c in copies}) <= 1 + len(self.again[token]) or self._was_between(token)
        self.duplicates[where if same else "drop"] += 1
        if not good:
            said = self.recorded.get((queue_id, recipient))
            self.unexplained.append(f"{where}: message {token} to {recipient}: (life, queue id) {copies}, recorded in life {said}, "
                                    f"dropped again in {sorted(self.again[token])}")

    def _was_between(self, token):
        """True for a life that ended between storing and removing this file; it explains one copy only."""
        for life, tokens in self.stayed.items():
            if token in tokens:
                del self.stayed[life]
                self.again[token].add(life)
                return True
        return False

    def see_dropped(self, text, again):
        """Records a dropped file that exists at the end of this life; `again`: it had been removed."""
        if (token := TOKEN.search(text)) is None:
            return
        if again:
            self.again[int(token[1])].add(self.life)
        else:
            self.stayed.setdefault(self.life, set()).add(int(token[1]))

    def read_log(self, lines):
        for line in lines:
            if " delivered " in line and (found := DELIVERED.search(line)):
                self.recorded.setdefault((found[1], found[2]), self.life)

    def lost(self):
        """Returns (token, recipient) of each accepted message that never arrived."""
        return [(token, recipient) for token, (recipients, _) in self.accepted.items() for recipient in recipients
                if (token, recipient) not in self.copies]
