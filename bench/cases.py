# SPDX-License-Identifier: Apache-2.0
"""The cases that are measured: their names, as on the page, with connections and sizes."""

KIB, MIB = 1024, 1 << 20
SIZES = [(4 * KIB, "4 KiB"), (MIB, "1 MiB")]


def case_name(connections, size, kept):
    return f"{connections} connection{'s' * (connections > 1)}, {size}, {'kept' if kept else 'new'}"


# name, connections, octets per message, kept
ACCEPT_CASES = [(case_name(connections, words, kept), connections, size, kept) for size, words in SIZES for kept in (False, True) for connections in (1, 20, 100)]
LATENCY_CASES = [(case_name(connections, "4 KiB", kept), connections, kept) for connections, kept in ((1, False), (20, False), (100, False), (20, True))]
SYNC_CASES = [(case_name(connections, "4 KiB", kept), connections, kept, count)
              for connections, kept, count in ((1, False, 40), (20, False, 60), (100, False, 200), (20, True, 200))]
RELAY_CONNECTIONS, SUBMISSION_CONNECTIONS = 20, 20
RELAY_CASE = case_name(RELAY_CONNECTIONS, "4 KiB", True)
SUBMISSION_CASES = {sessions: f"{SUBMISSION_CONNECTIONS} connections, 4 KiB, {words}" for sessions, words in (("new", "new TLS sessions"), ("resumed", "TLS sessions resumed"))}
OPENED_SYNCED = "files opened with O_SYNC or O_DSYNC"
# Relay is measured as a steady flow: a short burst would show only the phase in which mail still comes in.
RELAY_SECONDS, RELAY_FEWEST, RELAY_FIRST = 10, 3000, 100
STEADY_FROM = 0.5  # seconds; shorter measurements only test whether everything works
RELAY_COLD = f"{RELAY_CASE}, the first {RELAY_FIRST} after the start"
SUBMISSION_FIRST = 100  # messages right after the start: first connections, first password hashes
SUBMISSION_COLD = f"{SUBMISSION_CASES['new']}, the first {SUBMISSION_FIRST} after the start"
IDLE_CONNECTIONS, IDLE_WARM = 200, 5

# ---- mail authentication ----
CHECK_CONNECTIONS, CHECK_SECONDS = 20, 3  # long enough that programs which end after some messages are started anew
CHECK_CASES = [(case_name(CHECK_CONNECTIONS, "4 KiB", kept), kept) for kept in (False, True)]
OPENSSL = "openssl speed rsa2048"
# A chain of SPF records that no cache has: so many look-ups, each answered after so many ms.
COLD_LOOKUPS, COLD_DELAY_MS, COLD_MESSAGES = 3, 20, 150
COLD_CASE = f"{COLD_LOOKUPS} look-ups of {COLD_DELAY_MS} ms"
