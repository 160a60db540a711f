# SPDX-License-Identifier: Apache-2.0
"""The parts about mail authentication: checking mail that arrives, senders that no cache knows,
and signing mail that leaves. Each runs in the network of names.py."""
import os
import re
import subprocess

import dkim

from cases import (CHECK_CASES, CHECK_CONNECTIONS, CHECK_SECONDS, COLD_CASE, COLD_MESSAGES, KIB, OPENSSL, RELAY_CASE, RELAY_CONNECTIONS, RELAY_FEWEST, RELAY_FIRST,
                   RELAY_SECONDS, STEADY_FROM)
from loads import bench_load, measure_once, run_load, smtp_source
from mailboat import free_port
from names import CLIENT, CLIENT_NAME, COLD_DOMAIN, OWN_DOMAIN, SELECTOR, SENDER_DOMAIN, names
from sink import Sink
from trust_servers import WITHOUT, fetch_packages

CHECKS = ("spf", "dkim", "dmarc")
COLD_WARM, COLD_FEWEST = 5, 20  # messages before the measured ones; messages of a run that only tests
LINE = "x" * 76


def letter(domain, size):
    """Returns a message of about this size."""
    head = (f"From: Bench <bench@{domain}>\r\nTo: <user@sink.test>\r\nSubject: bench\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <bench@{domain}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n")
    return (head + f"{LINE}\r\n" * ((size - len(head)) // (len(LINE) + 2))).encode()


def signed(key, domain, size):
    """Returns a message with a valid signature, of about this size."""
    text = letter(domain, size - 600)
    return dkim.sign(text, SELECTOR.encode(), domain.encode(), key.file.read_bytes(), canonicalize=(b"relaxed", b"relaxed")) + text


def write_letter(path, octets):
    """For smtp-source, which ends the lines itself."""
    path.write_bytes(octets.replace(b"\r\n", b"\n"))
    return path


# ---- mail that arrives ----

def demand_results(server):
    """The server's results are in what it stored; without checks there are none."""
    text = b"".join(server.stored()).lower()
    found = [check for check in CHECKS if f"{check}=pass".encode() in text]
    wanted = list(CHECKS) if server.name in WITHOUT else []
    if found != wanted:
        raise RuntimeError(f"what it stored says that these checks passed: {', '.join(found) or 'none'}; not: {', '.join(wanted) or 'none'}")
    if wanted and b"iprev=pass" not in text and f"({CLIENT_NAME} [{CLIENT}])".encode() not in text:
        raise RuntimeError("what it stored has no name of the client")


def checking(m):
    """Each server without checks, and with all of them: the same message, from a client whose records every cache has."""
    fetch_packages(m.names)
    seconds = CHECK_SECONDS if m.clock.seconds >= STEADY_FROM else m.clock.seconds
    with names(m.new_folder("names"), CLIENT) as dns:
        path = write_letter(m.folder / "signed.eml", signed(dns.keys[SENDER_DOMAIN], SENDER_DOMAIN, 4 * KIB))

        def source(server, connections, count, kept):
            return smtp_source(server.port, connections, count, path, kept, sender=f"bench@{SENDER_DOMAIN}", helo=CLIENT_NAME)

        def measure(server):
            run_load(source(server, 1, 1, False), m.clock)
            demand_results(server)
            for case, kept in CHECK_CASES:
                found = m.case("checking", case, server, CHECK_CONNECTIONS,
                               lambda count: measure_once(server, m.clock, source(server, CHECK_CONNECTIONS, count, kept), count, seconds=seconds),
                               seconds=seconds)
                m.add("checking", case, server, found, "rate", "cpu_us")
        m.each("checking", "mx", measure, key=dns.keys[OWN_DOMAIN])


def cold(m):
    """Messages of senders that no cache knows, one after the other."""
    fetch_packages(m.names)
    seconds_enough = m.clock.seconds >= STEADY_FROM
    with names(m.new_folder("names"), CLIENT) as dns:
        used = 1

        def measure(server):
            def once(count):
                nonlocal used
                first, used = used, used + count
                server.sender = f"bench@{COLD_DOMAIN}"
                return measure_once(server, m.clock, bench_load(m.load, server, "send", 1, count, size=4 * KIB, unique=first), count)
            once(COLD_WARM)
            found = m.cold("cold", COLD_CASE, server, COLD_MESSAGES if seconds_enough else COLD_FEWEST, once)
            m.add("cold", COLD_CASE, server, found, "p50_ms", "p99_ms")
        m.each("cold", "mx", measure, key=dns.keys[OWN_DOMAIN])


# ---- mail that leaves ----

def demand_signature(server, octets, record):
    """What left the server is signed, and the signature is right; without a key there is none."""
    if server.name not in WITHOUT:
        if b"DKIM-Signature:" in octets:
            raise RuntimeError("it signs without a key")
        return
    found = re.search(rb"^DKIM-Signature:.*?(?=^\S)", octets, re.M | re.S)
    if found is None or f"d={OWN_DOMAIN}".encode() not in found.group(0):
        raise RuntimeError("it does not sign")
    if not dkim.verify(octets, dnsfunc=lambda *_, **__: record.encode()):
        raise RuntimeError("its signature is wrong")


def first_message(m, server, dns, source):
    """Relays one message to a sink that keeps it."""
    folder = m.new_folder("kept")
    folder.mkdir()
    with Sink(server.to, kept=folder) as sink:
        run_load(source(1), m.clock)
        sink.wait(1, m.clock.patience())
    demand_signature(server, b"".join(path.read_bytes() for path in folder.rglob("m.*")), dns.keys[OWN_DOMAIN].record)


def signatures_a_second():
    """Returns what openssl does on all processors at once."""
    done = subprocess.run(["openssl", "speed", "-seconds", "1", "-multi", str(os.cpu_count()), "rsa2048"], capture_output=True, text=True, timeout=60)
    return float(re.search(r"^rsa\s+2048 bits\s+\S+\s+\S+\s+([\d.]+)", done.stdout, re.M).group(1))


def signing(m):
    """Each server without a key, and with one: a steady flow, as in relay."""
    fetch_packages(m.names)
    m.figures.add("signing", OPENSSL, "rate", "a second", "openssl", signatures_a_second())
    m.figures.add("signing", OPENSSL, "cores", "", "openssl", os.cpu_count())
    seconds, to = RELAY_SECONDS if m.clock.seconds >= STEADY_FROM else m.clock.seconds, free_port()
    with names(m.new_folder("names")) as dns:
        path = write_letter(m.folder / "plain.eml", letter(OWN_DOMAIN, 4 * KIB))

        def measure(server):
            def source(count):
                return smtp_source(server.port, RELAY_CONNECTIONS if count > 1 else 1, count, path, True, to="user@elsewhere.test", sender=f"bench@{OWN_DOMAIN}")
            server.to = to
            first_message(m, server, dns, source)
            with Sink(to) as sink:
                def once(count):
                    wanted = sink.count + count
                    return measure_once(server, m.clock, source(count), count, until=lambda: sink.wait(wanted, m.clock.patience(seconds)), seconds=seconds)
                found = m.case("signing", RELAY_CASE, server, RELAY_FEWEST, once, seconds=seconds, first=RELAY_FIRST)
                m.add("signing", RELAY_CASE, server, found, "rate", "cpu_us", "busy_us")
        m.each("signing", "outbound", measure, to=to, key=dns.keys[OWN_DOMAIN])


TRUST_PARTS = {"checking": checking, "cold": cold, "signing": signing}
