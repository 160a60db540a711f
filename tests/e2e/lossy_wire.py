# SPDX-License-Identifier: Apache-2.0
"""A wire between two network namespaces that delays packets and loses some of them (many kernels lack netem):
lossy_wire.py CLIENT SERVER ROUND_TRIP_MS LOST_PERCENT [SEED]. The client is 203.0.113.1 on it, the server
203.0.113.2. Prints "ready", and how many packets it carried and lost once it is terminated."""
import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
PACKET_MAX = 65536


def end_in(namespace, own, other):
    """Makes the end of the wire in a namespace; returns its descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", b"wire0", IFF_TUN | IFF_NO_PI))
    libc.setns(here, CLONE_NEWNET)
    subprocess.run(["ip", "-n", namespace, "addr", "add", own, "peer", other, "dev", "wire0"], check=True)
    subprocess.run(["ip", "-n", namespace, "link", "set", "wire0", "up"], check=True)
    return descriptor


def carry(ends, delay, lost, dice):
    """Carries packets until terminated; returns how many, and how many were lost."""
    waiting, carried, gone, ended = [], 0, 0, []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        until = max(0, waiting[0][0] - time.monotonic()) if waiting else 1
        for descriptor in select.select(ends, [], [], until)[0]:
            packet = os.read(descriptor, PACKET_MAX)
            carried += 1
            if dice.random() < lost:
                gone += 1
            else:
                other = ends[1] if descriptor == ends[0] else ends[0]
                heapq.heappush(waiting, (time.monotonic() + delay, carried, other, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, other, packet = heapq.heappop(waiting)
            os.write(other, packet)
    return carried, gone


def main(client, server, round_trip_ms, lost_percent, seed="1"):
    ends = [end_in(client, "203.0.113.1", "203.0.113.2"), end_in(server, "203.0.113.2", "203.0.113.1")]
    print("ready", flush=True)
    carried, gone = carry(ends, int(round_trip_ms) / 2000, float(lost_percent) / 100, random.Random(seed))
    print(f"carried {carried} lost {gone}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
