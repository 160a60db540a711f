#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A DNS server that answers after a delay: slow_names.py PORT DELAY_MS ZONE ADDRESS LOOKUPS.

Below ZONE every name uN (any number N) has the first SPF record of a chain of LOOKUPS records,
the last of which permits ADDRESS, and a DMARC record; nothing else is there."""
import heapq
import re
import select
import socket
import struct
import sys
import time

TXT, HEADER, POINTER, TTL_S = 16, struct.Struct(">6H"), b"\xc0\x0c", 300
NO_ERROR, NO_SUCH_NAME, ANSWER_FLAGS = 0, 3, 0x8580  # an answer, authoritative, with recursion


def name_and_question(query):
    """Returns the name in lower case without its last dot, the type, and the octets of the question."""
    labels, at = [], HEADER.size
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace").lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from(">H", query, at + 1)[0], query[HEADER.size:at + 5]


class Chain:
    def __init__(self, zone, address, lookups):
        self.zone, self.address, self.lookups = zone, address, lookups
        self.known = re.compile(rf"(?:(_dmarc)\.|n(\d+)\.)?(u\d+\.{re.escape(zone)})")

    def text(self, name):
        """Returns the TXT record of the name; None: there is no such name."""
        found = self.known.fullmatch(name)
        if found is None or int(found.group(2) or 1) not in range(1, self.lookups + 1):
            return None
        if found.group(1):
            return b"v=DMARC1; p=none"
        step = int(found.group(2) or 1)
        mechanism = f"ip4:{self.address}" if step == self.lookups else f"include:n{step + 1}.{found.group(3)}"
        return f"v=spf1 {mechanism} -all".encode()

    def reply(self, query):
        name, kind, question = name_and_question(query)
        text = self.text(name)
        answers = text is not None and kind == TXT
        head = HEADER.pack(struct.unpack_from(">H", query)[0], ANSWER_FLAGS | (NO_ERROR if text is not None else NO_SUCH_NAME), 1, answers, not answers, 0)
        if answers:
            return head + question + POINTER + struct.pack(">HHIHB", TXT, 1, TTL_S, len(text) + 1, len(text)) + text
        soa = b"\0\0" + struct.pack(">5I", 1, TTL_S, TTL_S, TTL_S, TTL_S)  # of the zone, so that the answer can be kept
        owner = b"".join(bytes([len(label)]) + label.encode() for label in self.zone.split(".")) + b"\0"
        return head + question + owner + struct.pack(">HHIH", 6, 1, TTL_S, len(soa)) + soa


def main():
    port, delay_s, chain = int(sys.argv[1]), float(sys.argv[2]) / 1000, Chain(sys.argv[3], sys.argv[4], int(sys.argv[5]))
    door, waiting = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), []
    door.bind(("127.0.0.1", port))
    while True:
        left = [max(waiting[0][0] - time.monotonic(), 0)] if waiting else []
        if select.select([door], [], [], *left)[0]:
            query, client = door.recvfrom(4096)
            heapq.heappush(waiting, (time.monotonic() + delay_s, client, chain.reply(query)))
        while waiting and waiting[0][0] <= time.monotonic():
            _, client, reply = heapq.heappop(waiting)
            door.sendto(reply, client)


if __name__ == "__main__":
    main()
