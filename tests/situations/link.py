# SPDX-License-Identifier: Apache-2.0
"""The link between a machine and the internet: two TAP devices and a thread that forwards frames with a
delay, losses and a maximum size, which this kernel cannot simulate itself."""
import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import threading
import time

sys.setswitchinterval(0.001)  # many threads wait, and frames must not
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x40000000, 0x400454CA, 2, 0x1000


@contextlib.contextmanager
def inside(namespace):
    """Runs this thread in a network namespace."""
    own, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(own, CLONE_NEWNET)
        os.close(there)
        os.close(own)


def tap(namespace):
    with inside(namespace):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
    return fd


class Link:
    """`hole`: frames towards the machine with more octets than this are dropped silently."""

    def __init__(self, near, far, delay_ms=8, loss=0.0, hole=None):
        self.ends = [tap(near), tap(far)]
        self.delay, self.loss, self.hole = delay_ms / 1000, loss, hole
        self.chance = random.Random(4)
        self.wake, self.end = os.pipe()
        self.thread = threading.Thread(target=self._carry, daemon=True)

    def start(self):
        self.thread.start()

    def _is_lost(self, frame, to):
        return (self.hole is not None and to == self.ends[0] and len(frame) > self.hole) or (self.loss > 0 and self.chance.random() < self.loss)

    def _carry(self):
        on_way, count = [], 0
        other = {self.ends[0]: self.ends[1], self.ends[1]: self.ends[0]}
        while True:
            wait = max(0, on_way[0][0] - time.monotonic()) if on_way else None
            ready, _, _ = select.select([*self.ends, self.wake], [], [], wait)
            if self.wake in ready:
                return
            for end in ready:
                with contextlib.suppress(OSError):
                    frame = os.read(end, 65536)
                    if not self._is_lost(frame, other[end]):
                        count += 1
                        heapq.heappush(on_way, (time.monotonic() + self.delay, count, other[end], frame))
            while on_way and on_way[0][0] <= time.monotonic():
                _, _, end, frame = heapq.heappop(on_way)
                with contextlib.suppress(OSError):  # the device is not up yet, or its queue is full
                    os.write(end, frame)

    def stop(self):
        os.write(self.end, b"x")
        self.thread.join()
        for fd in (*self.ends, self.wake, self.end):
            os.close(fd)
