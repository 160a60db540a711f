#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles reply_rows.json into C tables: compile_rows.py ROWS.json OUTPUT.c

A row's text is a pattern: literals, . [..] ( | ) ? + * {m,n} ^ $ and \\ before
one of these characters. All patterns become one automaton without epsilon
transitions, which core/reply/reply_pattern.c runs over a text in one pass, whatever the
text contains. Common prefixes are merged, so that its start is a prefix tree.
"""
import json
import sys

OCTETS = frozenset(range(256))
CLASSES = ["no_such_user", "disabled", "inactive", "bad_address", "bad_domain", "mailbox_full", "recipient_policy",
           "auth", "reputation", "rbl", "rate", "greylist", "spam", "virus", "format", "size", "tls", "dns", "relay",
           "login", "protocol", "system", "loop", "policy"]
ABOUTS = ["recipient", "sender_address", "sender_domain", "sender_account", "sending_ip", "message", "path", "receiver"]
RETRIES = ["no", "soon", "slowly", "slow-down", "stop", "other-source"]
SUPPRESSES = ["never", "after_repeat", "now"]
ROWS_MAX, STATES_MAX = 1024, 32768  # as in reply_rows.h


# ---- patterns ----

class Parser:
    """A pattern as a tree: ("set", octets), ("cat", parts), ("alt", parts), ("many", part, at least, at most or None),
    ("first",), ("last",)."""

    def __init__(self, text):
        self.text, self.at = text.encode(), 0

    def peek(self):
        return self.text[self.at:self.at + 1]

    def take(self):
        self.at += 1
        return self.text[self.at - 1:self.at]

    def whole(self):
        tree = self.choice()
        if self.at != len(self.text):
            raise ValueError(f"unexpected {self.peek()!r} at {self.at}")
        return tree

    def choice(self):
        parts = [self.sequence()]
        while self.peek() == b"|":
            self.take()
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else ("alt", parts)

    def sequence(self):
        parts = []
        while self.peek() and self.peek() not in b"|)":
            parts.append(self.repeated())
        return ("cat", parts)

    def repeated(self):
        part = self.single()
        while self.peek() and self.peek() in b"?+*{":
            sign = self.take()
            if sign == b"{":
                end = self.text.index(b"}", self.at)
                low, _, high = self.text[self.at:end].decode().partition(",")
                self.at = end + 1
                part = ("many", part, int(low), int(high or low))
            else:
                part = ("many", part, 1 if sign == b"+" else 0, 1 if sign == b"?" else None)
        return part

    def single(self):
        sign = self.take()
        if sign == b"(":
            tree = self.choice()
            if self.take() != b")":
                raise ValueError("a bracket is not closed")
            return tree
        if sign == b"[":
            return self.octets()
        if sign == b"^":
            return ("first",)
        if sign == b"$":
            return ("last",)
        if sign == b".":
            return ("set", OCTETS)
        if sign == b"\\":
            sign = self.take()
            if sign.isalnum():
                raise ValueError(f"\\{sign.decode()} is not understood")
        elif sign in b"?+*{})":
            raise ValueError(f"unexpected {sign!r}")
        return ("set", frozenset(sign))

    def octets(self):
        found, negated = set(), False
        if self.peek() == b"^":
            self.take()
            negated = True
        while self.peek() != b"]":
            low = self.take()
            if not low:
                raise ValueError("a set is not closed")
            if self.text[self.at:self.at + 1] == b"-" and self.text[self.at + 1:self.at + 2] != b"]":
                self.take()
                found |= set(range(low[0], self.take()[0] + 1))
            else:
                found.add(low[0])
        self.take()
        return ("set", OCTETS - found if negated else frozenset(found))


# ---- states ----

class Automaton:
    """edges[state] is a list of (octets, state); accepts[state] and ends[state] are rows that match there, and there if
    the text ends. State 0 is active before each octet, state 1 before the first only."""

    def __init__(self):
        self.edges, self.accepts, self.ends = [[], []], [set(), set()], [set(), set()]

    def state(self):
        self.edges.append([])
        self.accepts.append(set())
        self.ends.append(set())
        return len(self.edges) - 1

    def add(self, row, tree):
        """Adds a pattern by Thompson's construction, then removes its epsilon transitions."""
        steps, empties = [], []  # steps[n]: (octets, n); empties[n]: [(kind, n)]

        def node():
            steps.append(None)
            empties.append([])
            return len(steps) - 1

        def build(part, after):
            kind = part[0]
            if kind == "set":
                here = node()
                steps[here] = (part[1], after)
                return here
            if kind in ("first", "last"):
                here = node()
                empties[here].append((kind, after))
                return here
            if kind == "cat":
                for one in reversed(part[1]):
                    after = build(one, after)
                return after
            if kind == "alt":
                here = node()
                empties[here] += [("", build(one, after)) for one in part[1]]
                return here
            _, inner, low, high = part
            if high is None:
                loop = node()
                empties[loop] += [("", build(inner, loop)), ("", after)]
                after = loop
            else:
                for _ in range(high - low):
                    here = node()
                    empties[here] += [("", build(inner, after)), ("", after)]
                    after = here
            for _ in range(low):
                after = build(inner, after)
            return after

        final = node()
        start = build(tree, final)

        def closure(of, at_first):
            """Returns the nodes reached by epsilon transitions: at any position, and only at the end of the text."""
            anywhere, at_last, todo = set(), set(), [(of, False)]
            while todo:
                here, last = todo.pop()
                seen = at_last if last else anywhere
                if here in seen or here in anywhere:
                    continue
                seen.add(here)
                for kind, there in empties[here]:
                    if kind == "first" and not at_first:
                        continue
                    todo.append((there, last or kind == "last"))
            return anywhere, at_last

        known = {}

        def fill(state, of, at_first):
            anywhere, at_last = closure(of, at_first)
            if final in anywhere:
                self.accepts[state].add(row)
            if final in at_last:
                self.ends[state].add(row)
            for here in anywhere:
                if steps[here]:
                    octets, there = steps[here]
                    if there not in known:
                        known[there] = self.state()
                        fill(known[there], there, False)
                    self.edges[state].append((octets, known[there]))

        fill(0, start, False)
        fill(1, start, True)
        both = set(self.edges[0])
        self.edges[1] = [edge for edge in self.edges[1] if edge not in both]

    def merge_beginnings(self):
        """Merges the targets of two edges of one state with the same octets, if no other edge leads to either."""
        sys.setrecursionlimit(100000)
        ways = [0] * len(self.edges)
        for edges in self.edges:
            for _, there in set(edges):
                ways[there] += 1
        todo = [0, 1]
        seen = set(todo)
        while todo:
            here = todo.pop()
            groups = {}
            for octets, there in dict.fromkeys(self.edges[here]):
                mergeable = ways[there] == 1 and there != here and there not in (0, 1)
                groups.setdefault((octets, None if mergeable else there), []).append(there)
            self.edges[here] = []
            for (octets, _), theres in groups.items():
                first = theres[0]
                for other in theres[1:]:
                    self.edges[first] += self.edges[other]
                    self.accepts[first] |= self.accepts[other]
                    self.ends[first] |= self.ends[other]
                    self.edges[other] = []
                self.edges[here].append((octets, first))
                if first not in seen:
                    seen.add(first)
                    todo.append(first)

    def reachable(self):
        seen, todo = [0, 1], [0, 1]
        known = set(seen)
        while todo:
            for _, there in self.edges[todo.pop()]:
                if there not in known:
                    known.add(there)
                    seen.append(there)
                    todo.append(there)
        return seen


def ranges(octets):
    found = []
    for octet in sorted(octets):
        if found and found[-1][1] == octet - 1:
            found[-1][1] = octet
        else:
            found.append([octet, octet])
    return found


# ---- rows ----

def code_ranges(text):
    """"421|45x" as [(421, 421), (450, 459)]"""
    return [(int(one.replace("x", "0")), int(one.replace("x", "9"))) for one in text.split("|") if one]


def status_ranges(text):
    """"x.7.26|5.7.606-649" as [(0, 7, 26, 26), (5, 7, 606, 649)]; class 0 is 4 or 5"""
    found = []
    for one in filter(None, text.split("|")):
        status, subject, detail = one.split(".")
        low, _, high = detail.partition("-")
        found.append((0 if status == "x" else int(status), int(subject), int(low), int(high or low)))
    return found


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def index(value, values, what, row):
    if value not in values:
        raise ValueError(f"{row['id']}: {what} {value!r} is not known")
    return values.index(value)


def automaton_of(rows):
    automaton = Automaton()
    for number, row in enumerate(rows):
        if row.get("text"):
            try:
                automaton.add(number, Parser(row["text"]).whole())
            except ValueError as error:
                raise ValueError(f"{row['id']}: {error}") from error
    for state in (0, 1):
        for number in automaton.accepts[state] | automaton.ends[state]:
            raise ValueError(f"{rows[number]['id']}: its text matches the empty text")
    automaton.merge_beginnings()
    return automaton


class Output:
    def __init__(self):
        self.lines = []

    def array(self, kind, name, values):
        """Returns a C array; without values it has one unused element, as C has no empty array."""
        self.lines.append(f"static const {kind} {name}[] = {{")
        line = ""
        for value in values or ["0" if "struct" not in kind else "{0}"]:
            if len(line) + len(str(value)) > 120:
                self.lines.append(line)
                line = ""
            line += f"{value}, "
        self.lines += [line, "};"]


def write_conditions(out, rows):
    codes, statuses, peers, texts = [], [], [], []
    for row in rows:
        first = [len(codes), len(statuses), len(peers)]
        codes += ["{%d, %d}" % one for one in code_ranges(row.get("code", ""))]
        statuses += ["{%d, %d, %d, %d}" % one for one in status_ranges(row.get("enhanced", ""))]
        peers += [quoted(one) for one in row.get("peer", "").split("|") if one]
        suppress = row.get("suppress", "never")
        if row["sure"] == "C":
            suppress = "never"  # a row based on general knowledge suppresses no recipient
        texts.append("{{%s, %d, %d, %d, %d, %s, %s, %s, %s}, %d, %d, %d, %d, %d, %d, %s}" % (
            quoted(row["id"]), index(row["class"], CLASSES, "class", row), index(row["about"], ABOUTS, "about", row),
            index(row["retry"], RETRIES, "retry", row), index(suppress, SUPPRESSES, "suppress", row),
            "true" if row["sure"] == "A" else "false", quoted(row["reason"]), quoted(row["sender"]), quoted(row["operator"]),
            first[0], len(codes) - first[0], first[1], len(statuses) - first[1], first[2], len(peers) - first[2],
            "true" if row.get("text") else "false"))
    out.array("struct reply_code_range", "codes", codes)
    out.array("struct reply_status_range", "statuses", statuses)
    out.array("char *const", "peers", peers)
    out.lines += ["static const struct reply_row rows[] = {", *[f"    {text}," for text in texts], "};"]


def write_automaton(out, automaton):
    """Writes the accepting states first, after state 1; state 0 is a table by octet."""
    states = [state for state in automaton.reachable() if state > 1]
    accepting = [state for state in states if automaton.accepts[state] or automaton.ends[state]]
    order = [0, 1] + accepting + [state for state in states if not (automaton.accepts[state] or automaton.ends[state])]
    number = {state: at for at, state in enumerate(order)}
    edges, first_edge, accepts, first_accept = [], [], [], []
    for state in order:
        first_edge.append(len(edges))
        for octets, there in automaton.edges[state] if state != 0 else []:
            edges += ["{%d, %d, %d}" % (low, high, number[there]) for low, high in ranges(octets)]
    first_edge.append(len(edges))
    for state in order[:2 + len(accepting)]:
        first_accept.append(len(accepts))
        accepts += ["{%d, false}" % row for row in sorted(automaton.accepts[state])]
        accepts += ["{%d, true}" % row for row in sorted(automaton.ends[state] - automaton.accepts[state])]
    first_accept.append(len(accepts))
    starts, first_start = [], []
    for octet in range(256):
        first_start.append(len(starts))
        starts += sorted({number[there] for octets, there in automaton.edges[0] if octet in octets})
    first_start.append(len(starts))
    if max(len(edges), len(order)) > 65535 or len(order) > STATES_MAX:
        raise ValueError("too many states: see REPLY_STATES_MAX in reply_rows.h")
    out.array("struct reply_edge", "edges", edges)
    out.array("uint16_t", "first_edge", first_edge)
    out.array("struct reply_accept", "accepts", accepts)
    out.array("uint16_t", "first_accept", first_accept)
    out.array("uint16_t", "starts", starts)
    out.array("uint16_t", "first_start", first_start)
    return len(order), 2 + len(accepting)


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        rows = json.load(file)
    if len({row["id"] for row in rows}) != len(rows) or len(rows) > ROWS_MAX:
        raise ValueError("an id stands twice, or there are too many rows: see REPLY_ROWS_MAX in reply_rows.h")
    out = Output()
    out.lines += ["/* SPDX-License-Identifier: Apache-2.0 */", "/* generated by compile_rows.py from reply_rows.json */",
                  '#include "core/reply/reply_rows.h"']
    write_conditions(out, rows)
    states, accepting = write_automaton(out, automaton_of(rows))
    out.lines += ["const struct reply_table reply_rows_table = {",
                  "    rows, sizeof rows / sizeof rows[0], codes, statuses, peers, edges, first_edge, accepts, first_accept,",
                  f"    starts, first_start, {states}, {accepting}}};"]
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(out.lines) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, KeyError) as error:
        sys.exit(f"compile_rows.py: {error}")
