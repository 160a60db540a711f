# SPDX-License-Identifier: Apache-2.0
"""The record of a soak: each message that was offered, whether it was accepted, and
its expected and actual outcome for each recipient."""
import re
import threading
from collections import Counter

ARRIVES, FAILS, EXPIRES = "arrives", "fails", "expires"
NUMBER = re.compile(rb"^X-Soak: (\d+)\r?$", re.M)
REPORTED = re.compile(rb"Final-Recipient: rfc822; ?(\S+)\r?\n(?:[A-Z][^\r\n]*\r?\n)*?Action: (\w+)", re.I)


class Letter:
    __slots__ = ("fates", "notify", "state", "arrived", "reported", "unsure")

    def __init__(self, fates, notify):
        self.fates, self.notify = fates, notify
        self.state = "offered"  # then: accepted, refused, unknown (the reply was not read)
        self.arrived, self.reported = Counter(), Counter()
        self.unsure = 0  # how often the sink accepted it and hung up without a reply


class Book:
    def __init__(self):
        self.lock, self.letters = threading.Lock(), {}
        self.broken, self.odd, self.octets, self.arrivals, self.reports, self.strangers = [], Counter(), 0, 0, 0, Counter()

    def open(self, fates_of, notify=False):
        """Returns a new number; `fates_of(number)` has the recipients and the expected outcome of each."""
        with self.lock:
            number = len(self.letters) + 1
            self.letters[number] = Letter(fates_of(number), notify)
            return number, self.letters[number]

    def strange(self, what, said):
        with self.lock:
            self.odd[f"{what}: {said}"] += 1

    def got(self, content, recipients, sure=True):
        """Records an arrived message; for the sink, `sure`: the sender received the reply."""
        header = content[:65536].partition(b"\r\n\r\n")[0] if b"\r\n\r\n" in content[:65536] else content[:65536].replace(b"\n", b"\r\n").partition(b"\r\n\r\n")[0]
        number = NUMBER.search(header)
        if number is None:
            self._report(content)
            return
        whole = content.rstrip(b"\r\n").endswith(b"end of " + number.group(1))
        with self.lock:
            letter = self.letters[int(number.group(1))]
            self.arrivals, self.octets = self.arrivals + len(recipients), self.octets + len(content)
            letter.unsure += not sure
            for recipient in recipients:
                letter.arrived[recipient] += 1
            if not whole:
                self.broken.append(f"{number.group(1)} came without its end")

    def _report(self, content):
        number = NUMBER.search(content)
        with self.lock:
            if number is None:
                subject = re.search(rb"^Subject: ([^\r\n]*)", content, re.M)
                self.strangers[subject.group(1).decode(errors="replace") if subject else repr(content[:300])] += 1
                return
            self.reports += 1
            for recipient, action in REPORTED.findall(content):
                self.letters[int(number.group(1))].reported[(recipient.decode(), action.decode().lower())] += 1

    def counts(self):
        with self.lock:
            return Counter(letter.state for letter in self.letters.values())

    def duplicates(self):
        """Returns the arrivals beyond the first that are explained by a reply that the sink did not send."""
        with self.lock:
            return sum(max(0, count - 1) for letter in self.letters.values() for count in letter.arrived.values())

    def wrongs(self):
        """Returns the violations in words; empty if every message has a correct outcome."""
        with self.lock:
            found = list(self.broken)
            for number, letter in self.letters.items():
                found += [f"{number} ({letter.state}): {text}" for text in self._wrongs_of(letter)]
            return found

    @staticmethod
    def _wrongs_of(letter):
        for recipient, fate in letter.fates.items():
            times, failed = letter.arrived[recipient], letter.reported[(recipient, "failed")]
            told = sum(letter.reported[(recipient, action)] for action in ("delivered", "relayed"))
            if letter.state in ("refused", "offered"):
                if times or failed or told:
                    yield f"{recipient}: arrived {times} times, reported {failed + told} times"
                continue
            least = 0 if letter.state == "unknown" else 1
            most = 1 + letter.unsure
            if fate == ARRIVES and not (least <= times <= most and failed == 0):
                yield f"{recipient}: arrived {times} times, reported as failed {failed} times"
            if fate != ARRIVES and not (times == 0 and least <= failed <= 1):
                yield f"{recipient}: shall fail; arrived {times} times, reported as failed {failed} times"
            if letter.notify and fate == ARRIVES and told != 1 and letter.state == "accepted":
                yield f"{recipient}: its delivery was reported {told} times"
            if not letter.notify and told:
                yield f"{recipient}: reported {told} times, unasked"
        for recipient in letter.arrived:
            if recipient not in letter.fates:
                yield f"came to {recipient}, who is no recipient of it"
