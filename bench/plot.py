# SPDX-License-Identifier: Apache-2.0
"""The plot: panels of bars as an SVG, legible on a light and a dark background. Each
panel has one unit and one scale from zero; each case has a bar for each server."""
from html import escape

from cases import ACCEPT_CASES, CHECK_CASES, LATENCY_CASES, RELAY_CASE, SUBMISSION_CASES, SYNC_CASES
from page import columns_of, number, title_of
from servers import SERVERS

COLOURS = {"mailboat": "#1f77d0", "postfix": "#e07b16", "opensmtpd": "#9a5fc0", "opensmtpd-wide": "#c39be0", "exim": "#2f9e57", "nothing-stored": "#8a929b", "mailboat-delivering": "#69aef0",
           "mailboat-checking": "#0b4f94", "mailboat-signing": "#123c66", "postfix-opendkim": "#a8560a", "postfix-rspamd": "#f0b070"}
OTHER_CLIENT, BLOCKED = "#8a929b", "587 dropped"
WIDTH, COLUMN, GAP, LABELS, VALUES = 1000, 485, 30, 120, 66
BAR, BETWEEN, TITLE, TOP, LINE = 11, 9, 30, 76, 18
ENDLESS = 8  # a full-width bar means at least this many times the longest
STYLE = """text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:13px}.head{font-weight:600;font-size:17px}.faint{fill:#59636e}.value{font-size:10px}
.ground{fill:#ffffff}.axis{stroke:#d1d9e0}
@media (prefers-color-scheme: dark){text{fill:#e6edf3}.faint{fill:#9198a1}.ground{fill:#0d1117}.axis{stroke:#3d444d}}"""


def accept_cases(size, kept):
    return [(case[0].split(",")[0], case[0]) for case in ACCEPT_CASES if case[2] == size and case[3] == kept]


def short(case):
    """"20 conn., kept" of "20 connections, 4 KiB, kept"."""
    connections, _, kind = case.split(", ")
    return f"{connections.split()[0]} conn., {kind}"


# title with the unit, part, figure, (label, case) of each group
PANELS = [
    ("Accept, 4 KiB, new connections: messages a second", "accept", "rate", accept_cases(4096, False)),
    ("Accept, 4 KiB, kept connections: messages a second", "accept", "rate", accept_cases(4096, True)),
    ("Accept, 1 MiB, new connections: messages a second", "accept", "rate", accept_cases(1 << 20, False)),
    ("Accept, 4 KiB, new connections: CPU a message, µs", "accept", "cpu_us", accept_cases(4096, False)),
    ("One message, median: ms", "latency", "p50_ms", [(short(case[0]), case[0]) for case in LATENCY_CASES]),
    ("One message, p99: ms", "latency", "p99_ms", [(short(case[0]), case[0]) for case in LATENCY_CASES]),
    ("Relay: messages a second", "relay", "rate", [("20 connections", RELAY_CASE)]),
    ("Relay: CPU a message, µs", "relay", "cpu_us", [("20 connections", RELAY_CASE)]),
    ("Submission with TLS: messages a second", "submission", "rate", [(f"{name} sessions", case) for name, case in SUBMISSION_CASES.items()]),
    ("Accept with and without all checks, 4 KiB: messages a second", "checking", "rate", [(short(case), case) for case, _ in CHECK_CASES]),
    ("Relay with and without a signature: messages a second", "signing", "rate", [("20 connections", RELAY_CASE)]),
    ("An idle connection: KiB", "memory", "memory", [("each further one", "each further idle connection")]),
    ("Syncs a message", "syncs", "syncs", [(short(case[0]), case[0]) for case in SYNC_CASES]),
]


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def value_or_words(figures, part, case, what, name):
    value = figures.middle(part, case, what, name)
    return "left out" if value is None and figures.why_left_out(part, case, name) else value


def bars_of(figures, part, what, cases):
    """Returns (label, bars) of each case that has figures; a bar is (colour, name, value or words)."""
    found = []
    for label, case in cases:
        bars = [(COLOURS[name], SERVERS[name].title, value_or_words(figures, part, case, what, name)) for name in columns_of(figures, part)]
        if any(isinstance(value, (int, float)) for _, _, value in bars):
            found.append((label, [bar for bar in bars if bar[2] is not None]))
    return found


def bars_of_clients(figures):
    """Returns a bar for each program that sends a message while 587 is blocked."""
    row = figures.rows.get(("failover", BLOCKED, "until accepted"), {"values": {}})["values"]
    titles = {name: name for name in row if "," not in name} | {"mailboat": "Mailboat"}
    return [(title, [(COLOURS.get(name, OTHER_CLIENT), title, figures.middle("failover", BLOCKED, "until accepted", name))]) for name, title in titles.items() if name in row]


def height_of(groups):
    return TITLE + sum(len(bars) * BAR + BETWEEN for _, bars in groups) + 12


def panel(title, groups, left, top, endless=False):
    """Draws one panel. `endless`: words in place of a figure give a full-width bar; otherwise no bar."""
    room = COLUMN - LABELS - VALUES - (20 if endless else 0)
    largest = max((value for _, bars in groups for _, _, value in bars if isinstance(value, (int, float))), default=0) or 1
    largest *= ENDLESS if endless else 1
    out = [text(left, top + 14, title, "title")]
    y = top + TITLE
    for label, bars in groups:
        height = len(bars) * BAR
        out.append(text(left + LABELS - 8, y + height / 2 + 4, label, "faint", "end"))
        out.append(f'<line class="axis" x1="{left + LABELS}" x2="{left + LABELS}" y1="{y - 2}" y2="{y + height + 2}"/>')
        for i, (colour, name, value) in enumerate(bars):
            length = room * endless if isinstance(value, str) else room * value / largest
            out.append(f'<rect x="{left + LABELS}" y="{y + i * BAR}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}">'
                       f"<title>{escape(name)}: {escape(number(value))}</title></rect>")
            out.append(text(left + LABELS + length + 5, y + i * BAR + BAR - 2.5, number(value), "value faint"))
        y += height + BETWEEN
    return out


def legend(titles):
    """titles: server -> words. Returns the elements, and the height of further lines."""
    out, x, below = [], 20, 0
    for name, title in titles.items():
        width = 44 + 7 * len(title)
        if x + width > WIDTH:
            x, below = 20, below + LINE
        out.append(f'<rect x="{x}" y="{46 + below}" width="12" height="12" fill="{COLOURS[name]}"/>')
        out.append(text(x + 18, 56 + below, title))
        x += width
    return out, below


def svg(figures):
    panels = [(title, bars_of(figures, part, what, cases), False) for title, part, what, cases in PANELS]
    panels.append(("Port 587 is blocked, until a message is accepted: ms", bars_of_clients(figures), True))
    shown = {name for part in ("accept", "relay", "submission", "checking", "signing", "memory") for name in columns_of(figures, part)}
    named, below = legend({name: title_of(figures, name) + (": the ceiling" if name == "nothing-stored" else "") for name in SERVERS if name in shown})
    out, tops = [], [TOP + below, TOP + below]
    for title, groups, endless in panels:
        if not groups:
            continue
        column = 0 if tops[0] <= tops[1] else 1
        out += panel(title, groups, 20 + column * (COLUMN + GAP - 20), tops[column], endless)
        tops[column] += height_of(groups)
    about, height = figures.about, max(tops) + 10
    head = [text(20, 26, "Mailboat beside other servers", "head"),
            text(WIDTH - 20, 26, f"{about['date']}, {about['machine']['processor']}, {about['machine']['kernel']}", "faint", "end")]
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
                      "<title>Mailboat beside other servers</title>", f"<style>{STYLE}</style>", f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
                      *head, *named, *out, "</svg>"]) + "\n"
