# SPDX-License-Identifier: Apache-2.0
"""Writes the page of results: a writer of tables, and the sections in
reading order."""
from cases import (ACCEPT_CASES, CHECK_CASES, CHECK_SECONDS, COLD_CASE, COLD_DELAY_MS, COLD_LOOKUPS, COLD_MESSAGES, IDLE_CONNECTIONS, IDLE_WARM, LATENCY_CASES, OPENED_SYNCED, OPENSSL, RELAY_CASE, RELAY_COLD, RELAY_CONNECTIONS, RELAY_FEWEST,
                   RELAY_SECONDS, SUBMISSION_CASES, SUBMISSION_COLD, SUBMISSION_CONNECTIONS, SYNC_CASES)
from figures import AGREE
from loads import SLOW, smtp_source
from machine import BUSY_QUIET
from servers import SERVERS
from trust_servers import WITHOUT

OURS, BESIDE, CEILING = "mailboat", "postfix", "nothing-stored"
FAILOVER_CASES = ("open", "587 dropped", "587 and 2525 dropped")


def number(value):
    """Returns the value with three significant digits."""
    if value is None or isinstance(value, str):
        return value or ""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(head, rows, right=True):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + (" ---: |" if right else " --- |") * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def ratio(figures, part, case, what, other):
    ours, theirs = (figures.middle(part, case, what, column) for column in (OURS, other))
    return f"{ours / theirs:.2f}" if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)) and theirs else ""


def columns_of(figures, part):
    """Returns the servers that this part has or was to have."""
    there = {c for (p, _, _), row in figures.rows.items() if p == part for c in row["values"]}
    there |= {c for (p, _), columns in figures.left_out.items() if p == part for c in columns}
    return [name for name in SERVERS if name in there]


def does_not_sync(figures, name):
    """True for a mail server that replied 250 without any counted sync."""
    case = SYNC_CASES[0][0]
    return name != CEILING and figures.middle("syncs", case, "syncs", name) == 0 and figures.middle("syncs", OPENED_SYNCED, "opens", name) == 0


def title_of(figures, name):
    return SERVERS[name].title + (" (does not sync)" if does_not_sync(figures, name) else "")


def cell(figures, part, case, what, column):
    value = figures.middle(part, case, what, column)
    return number(value) if value is not None else "left out" if figures.why_left_out(part, case, column) else ""


def servers_table(figures, part, rows, more=(), ceiling=True):
    """Returns the table. rows: (label, case, what). more: further (head, cell of (case, what)). "" without figures."""
    names = columns_of(figures, part)
    compared = [(f"Mailboat / {SERVERS[BESIDE].title}", BESIDE), *[("Mailboat / ceiling", CEILING)] * ceiling]
    compared = [(title, other) for title, other in compared if {OURS, other} <= set(names)]
    head = ["", *(title_of(figures, name) for name in names), *(title for title, _ in compared), *(title for title, _ in more)]
    body = [[label, *(cell(figures, part, case, what, name) for name in names), *(ratio(figures, part, case, what, other) for _, other in compared),
             *(make(case, what) for _, make in more)] for label, case, what in rows if (part, case, what) in figures.rows]
    return table(head, body) if body else ""


def both(cases, *whats):
    """Returns a row for each case and each of these figures."""
    words = {"rate": "a second", "cpu_us": "CPU each, µs", "p50_ms": "median, ms", "p99_ms": "p99, ms"}
    return [(f"{case}: {words[what]}", case, what) for what in whats for case in cases]


# ---- sections: each returns its first words and its table; without a table it is omitted ----

def accept(figures):
    rows = [(case[0], case[0], "rate") for case in ACCEPT_CASES]
    return "Messages a second that are taken: 250 said.", servers_table(figures, "accept", rows)


def accept_cpu(figures):
    return "All the server's processes, those that ended too, in microseconds.", servers_table(figures, "accept", [(c[0], c[0], "cpu_us") for c in ACCEPT_CASES])


def latency(figures):
    def plain(_, what):
        return number(figures.middle("limits", "plain sync of 4 KiB", what, "disk"))
    rate = number(figures.middle("limits", "plain sync of 4 KiB", "rate", "disk"))
    text = ("From the connection (kept ones: from MAIL) to the 250 after the content, in milliseconds; 4 KiB a message, all connections busy. "
            f"Beside it what the disk needs to keep 4 KiB, appended and synced one after the other{f': {rate} a second' if rate else ''}.")
    return text, servers_table(figures, "latency", [row for case in LATENCY_CASES for row in both([case[0]], "p50_ms", "p99_ms")], [("a plain sync", plain)])


def syncs(figures):
    text = ("How often a server asks the disk to keep something (fsync, fdatasync, sync_file_range, msync, sync, syncfs) for each message, in a pass "
            "of its own. A server may keep several messages by one sync when they come at once.")
    body = servers_table(figures, "syncs", [*((c[0], c[0], "syncs") for c in SYNC_CASES), (OPENED_SYNCED, OPENED_SYNCED, "opens")], ceiling=False)
    for name in (name for name in SERVERS if does_not_sync(figures, name)):
        body += f"\n**{SERVERS[name].title} does not sync**: its 250 says that the message is in memory; a power loss takes what it has said 250 to.\n"
    return text, body


def relay(figures):
    text = (f"A steady flow: taken, queued and handed on to smtp-sink, until the last message is there; {RELAY_SECONDS} s and at least {RELAY_FEWEST:,} "
            "messages each (fewer of a server that would need much longer for so many). Apart from it the start, when nothing is warm.")
    return text, servers_table(figures, "relay", both([RELAY_CASE, RELAY_COLD], "rate", "cpu_us"))


def submission(figures):
    text = ("Each message on a connection of its own, with STARTTLS; Mailboat checks a password each time (AUTH PLAIN), the others ask for none. "
            "The ceiling is the TLS handshake alone.")
    cases = [*SUBMISSION_CASES.values(), SUBMISSION_COLD]
    return text, servers_table(figures, "submission", both(cases, "rate", "cpu_us", "p50_ms", "p99_ms"))


def memory(figures):
    cases = [f"with {IDLE_WARM} idle connections", "each further idle connection"]
    rows = [(f"{case}, {unit}", case, "memory") for case, unit in zip(cases, ("MiB", "KiB"))]
    return f"All the server's processes (proportional set size); {IDLE_CONNECTIONS} connections after the greeting.", servers_table(figures, "memory", rows, ceiling=False)


def failover(figures):
    rows = figures.rows.get(("failover", FAILOVER_CASES[0], "until accepted"), {"values": {}})["values"]
    titles = {"mailboat": "Mailboat", "mailboat, the port remembered": "Mailboat, the port remembered"}
    body = [[titles.get(name, f"{name}, set to 587"), *(with_ms(figures.middle("failover", case, "until accepted", name)) for case in FAILOVER_CASES)] for name in rows]
    text = "Until the message is accepted, or surrender."
    wait_ms = figures.middle("failover", "open", "until the greeting", "server")
    if wait_ms is not None:
        text += f" Of what is below \"open\" {wait_ms:.1f} ms are the server's own wait between the connection and its greeting."
    return text, table(["", *FAILOVER_CASES], body) if body else ""


# ---- mail authentication ----

def quotient(value, divisor):
    both_numbers = isinstance(value, (int, float)) and isinstance(divisor, (int, float)) and divisor
    return f"{value / divisor:.2f}" if both_numbers else ""


def share(figures, part, case, name):
    """Returns the share of the rate that the same server has without authentication."""
    return quotient(figures.middle(part, case, "rate", name), figures.middle(part, case, "rate", WITHOUT.get(name)))


def allowed(figures, name):
    """Returns the messages a second if the server spent on each what it does unsigned, and one signature of
    openssl's on the cores that are left; no more than it reaches unsigned."""
    unsigned, busy_us = (figures.middle("signing", RELAY_CASE, what, WITHOUT.get(name)) for what in ("rate", "busy_us"))
    signatures, cores = (figures.middle("signing", OPENSSL, what, "openssl") for what in ("rate", "cores"))
    if None in (unsigned, busy_us, signatures, cores):
        return None
    return min(unsigned, cores * 1e6 / (busy_us + cores * 1e6 / signatures))


def authentication_table(figures, part, ours, rows):
    """Returns the table. rows: (label, case, what, None or cell of (name)). The last column compares with the best peer."""
    names = columns_of(figures, part)
    peers = [name for name in names if name in WITHOUT and name != ours]
    best = ours in names and peers
    body = []
    for label, case, what, make in rows:
        if (part, case, what) not in figures.rows:
            continue
        cells = [cell(figures, part, case, what, name) if make is None else make(name) for name in names]
        values = [value for name in peers if isinstance(value := figures.middle(part, case, what, name), (int, float))]
        compared = quotient(figures.middle(part, case, what, ours), (max if what == "rate" else min)(values)) if values and make is None else ""
        body.append([label, *cells, *([compared] if best else [])])
    head = ["", *(title_of(figures, name) for name in names), *([f"{SERVERS[ours].title} / best peer"] if best else [])]
    return table(head, body) if body else ""


def checking(figures):
    text = ("Mail of another server, 4 KiB with a valid signature (DKIM, RSA, 2,048 bits), from an address of its own: each server without checks, and with all of "
            "them: SPF, DKIM, DMARC and the client's name (iprev). The sender's DNS is nsd; all ask one caching resolver, unbound, and what they ask it has. "
            "Of what each stored the results were read: all of them say pass. "
            f"{CHECK_SECONDS} s each. CPU is that of the server and its programs, without the resolver.")
    rows = []
    for case, _ in CHECK_CASES:
        rows += [(f"{case}: a second", case, "rate", None), (f"{case}: share of the rate without checks", case, "rate", lambda name, case=case: share(figures, "checking", case, name)),
                 (f"{case}: CPU each, µs", case, "cpu_us", None)]
    return text, authentication_table(figures, "checking", "mailboat-checking", rows)


def cold(figures):
    dns_ms = COLD_LOOKUPS * COLD_DELAY_MS

    def without_dns(name):
        value = figures.middle("cold", COLD_CASE, "p99_ms", name)
        return number(value - dns_ms) if name in WITHOUT and value is not None else ""
    text = (f"Each message has a sender domain that no cache knows, whose SPF record needs {COLD_LOOKUPS} look-ups, one after the other, each answered after "
            f"{COLD_DELAY_MS} ms, and whose DMARC record is answered so, too. One message at a time, {COLD_MESSAGES} in each run, new connections, 4 KiB without a signature.")
    rows = [("median, ms", COLD_CASE, "p50_ms", None), ("p99, ms", COLD_CASE, "p99_ms", None), (f"p99 without {COLD_LOOKUPS} x {COLD_DELAY_MS} ms, ms", COLD_CASE, "p99_ms", without_dns)]
    return text, authentication_table(figures, "cold", "mailboat-checking", rows)


def signing(figures):
    signatures, cores = (figures.middle("signing", OPENSSL, what, "openssl") for what in ("rate", "cores"))
    text = ("Mail of this machine's programs, relayed as in the table above, without and with a signature (DKIM, RSA, 2,048 bits, one domain); the first that left each "
            "server was verified.")
    if signatures is not None:
        text += (f" `{OPENSSL}` makes {number(signatures)} signatures a second on {cores:.0f} core{'s' * (cores != 1)}, and nothing else. What it allows: the rate if a message took of the machine what "
                 "it takes unsigned, load and sink included, and one such signature on the cores that are left.")
    rows = [("a second", RELAY_CASE, "rate", None), ("share of the rate unsigned", RELAY_CASE, "rate", lambda name: share(figures, "signing", RELAY_CASE, name)),
            ("share of what openssl allows", RELAY_CASE, "rate", lambda name: quotient(figures.middle("signing", RELAY_CASE, "rate", name), allowed(figures, name))),
            ("CPU each, µs", RELAY_CASE, "cpu_us", None)]
    return text, authentication_table(figures, "signing", "mailboat-signing", rows)


def with_ms(value):
    return value if isinstance(value, str) else "" if value is None else f"{value:.0f} ms"


def left_out(figures):
    lines = [f"- {part}{', ' * bool(case)}{case}: {name}: {why}" for (part, case), columns in figures.left_out.items() for name, why in columns.items()]
    return "", "\n".join(lines) + "\n" if lines else ""


def method(figures):
    about = figures.about
    fewest, most = figures.runs()
    rows = [[key, value] for key, value in about["machine"].items()]
    runs = f"{most} run{'s' * (most != 1)}" + (f" ({fewest} where fewer fitted)" if fewest < most else "")
    intro = (f"Everything on one machine, over loopback; the loads share its cores with the servers. Medians of {runs}, the servers in turns within each. "
             f"A measurement takes as many messages as fit into about {about['seconds']:g} s. Every server starts with an empty queue in each run. "
             f"What took a server more than {SLOW} times as long was measured once.")
    text = table(["machine", ""], rows, right=False) + "\n"
    text += table(["server", "version", "set so, beyond what it ships with"],
                  [[SERVERS[name].title, version, SERVERS[name].settings] for name, version in about["versions"].items() if name in SERVERS], right=False) + "\n"
    text += "Clients: " + ", ".join(f"{name} {version}" for name, version in about["clients"].items()) + ".\n\n"
    return intro, text + "The commands of the loads, started by " + f"`{about['command']}`" + ":\n\n" + "\n".join(f"    {line}" for line in commands()) + "\n"


def commands():
    source = " ".join(["smtp-source", *smtp_source("PORT", "CONNECTIONS", "COUNT", "SIZE", False)[1:]])
    yield f"{source}             # accept; new connections"
    yield f"{source.replace('smtp-source', 'smtp-source -d')}          # accept; kept ones"
    yield f"{source.replace('smtp-source', 'smtp-source -d').replace('CONNECTIONS', str(RELAY_CONNECTIONS))}   # relay; to smtp-sink -c"
    yield "load send port=PORT connections=CONNECTIONS count=COUNT size=4096 from=A to=A [kept=1]     # latency"
    yield f"load send port=PORT connections={SUBMISSION_CONNECTIONS} count=COUNT size=4096 from=A to=A tls=1 [plain=P] [resume=1]     # submission"
    yield f"{source.replace('-l SIZE', '-F FILE').replace('-f', '-M NAME -f')}   # checking and, as relay, signing"
    yield "load send port=PORT connections=1 count=COUNT size=4096 from=A to=A unique=N     # cold"
    yield f"load shake port=PORT connections={SUBMISSION_CONNECTIONS} count=COUNT     # its ceiling"


SECTIONS = [("Accept", accept), ("Accept: CPU a message", accept_cpu), ("How long one message takes", latency), ("Syncs a message", syncs), ("Relay", relay),
            ("Submission with TLS", submission), ("Mail authentication: accept with all checks", checking), ("Mail authentication: a sender that no cache knows", cold),
            ("Mail authentication: relay with a signature", signing), ("Idle memory", memory), ("Blocked ports", failover), ("Left out", left_out), ("How it was measured", method)]


def doubts(figures):
    """Returns the reasons why this page must not replace an earlier one, as sentences."""
    about = figures.about
    found = []
    if about["busy_before"] > BUSY_QUIET:
        found.append(f"The machine was not quiet ({about['busy_before']:.0%} busy before the start): read ratios, not figures.")
    if about.get("cut_short"):
        found.append("The time was over in the middle of a run: what is empty below was not reached.")
    if figures.doubtful():
        rows = "; ".join(f"{part}, {case}: {SERVERS[column].title}" for part, case, column in figures.doubtful())
        found.append(f"No two runs agree within {AGREE:.0%} on: {rows}.")
    return found


def page(figures):
    about = figures.about
    text = f"# Measured beside others\n\nWritten by `make bench` on {about['date']}"
    text += "; a quick run, whose figures say little" if about["quick"] else ""
    text += f", on {about['machine']['processor']}"
    for anew in about.get("anew", []):
        text += f"; the part{'s' * (len(anew['parts']) > 1)} {', '.join(anew['parts'])} measured anew on {anew['date']} by `{anew['command']}`, Mailboat {anew['versions'].get(OURS, '')}".rstrip()
    text += f". The plot below is [measured.svg](measured.svg); [bench/README.md](../bench/README.md) tells how to run it.\n"
    for words in doubts(figures):
        text += f"\n**{words}**\n"
    text += "\n![Mailboat beside other servers](measured.svg)\n"
    for title, section in SECTIONS:
        intro, body = section(figures)
        if body:
            text += f"\n## {title}\n\n" + (f"{intro}\n\n" if intro else "") + body
    return text
