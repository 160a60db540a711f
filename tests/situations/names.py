# SPDX-License-Identifier: Apache-2.0
"""A small DNS server: answers from a dictionary, and simulates faulty resolvers."""
import socket
import struct

A, SOA, MX, AAAA, SRV = 1, 6, 15, 28, 33
TYPES = {"A": A, "MX": MX, "AAAA": AAAA, "SRV": SRV}
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5


def encode(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split(".") if part) + b"\0"


def question_of(packet):
    """Returns the name of a question, its type, and the offset of its end."""
    at, parts = 12, []
    while packet[at]:
        parts.append(packet[at + 1:at + 1 + packet[at]].decode(errors="replace"))
        at += 1 + packet[at]
    return ".".join(parts).lower(), struct.unpack(">H", packet[at + 1:at + 3])[0], at + 5


def data_of(kind, value):
    if kind == A:
        return socket.inet_pton(socket.AF_INET, value)
    if kind == AAAA:
        return socket.inet_pton(socket.AF_INET6, value)
    first, *rest, target = value.split()
    return struct.pack(f">{1 + len(rest)}H", int(first), *map(int, rest)) + encode(target)


class Names:
    """`records`: {"name A": [values]}; `special`: {name or "*": "nxdomain", "servfail", "refused", "timeout", or false addresses}."""

    def __init__(self, records, special=None):
        self.records, self.special = records, special or {}
        self.known = {key.split()[0] for key in records}

    def _values(self, name, kind):
        lie = self.special.get(name, self.special.get("*"))
        if isinstance(lie, (list, tuple)):
            return [value for value in lie if (":" in value) == (kind == AAAA)] if kind in (A, AAAA) else []
        return next((self.records.get(f"{name} {word}", []) for word, number in TYPES.items() if number == kind), [])

    def answer(self, packet):
        """Returns the reply to a question; None: no reply."""
        name, kind, end = question_of(packet)
        how = self.special.get(name, self.special.get("*"))
        if how == "timeout":
            return None
        code = {"servfail": SERVFAIL, "refused": REFUSED, "nxdomain": NXDOMAIN}.get(how, 0) if isinstance(how, str) else 0
        values = self._values(name, kind) if code == 0 else []
        exists = name in self.known or any(known.endswith("." + name) for known in self.known) or name in self.special or isinstance(how, (list, tuple))
        if code == 0 and not exists:
            code = NXDOMAIN
        answers = b""
        for value in values:
            data = data_of(kind, value)
            answers += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
        authority = b""
        if not values and code in (0, NXDOMAIN):
            soa = encode("ns.invalid") + encode("admin.invalid") + struct.pack(">5I", 1, 3600, 600, 86400, 5)
            authority = b"\0" + struct.pack(">HHIH", SOA, 1, 5, len(soa)) + soa
        head = packet[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(values), 1 if authority else 0, 0)
        return head + packet[12:end] + answers + authority

    def talk(self, connection, host, scanner=None):
        """Answers over TCP."""
        while True:
            size = connection.recv(2)
            if len(size) < 2:
                return
            reply = self.answer(connection.recv(struct.unpack(">H", size)[0]))
            if reply:
                connection.sendall(struct.pack(">H", len(reply)) + reply)
