# SPDX-License-Identifier: Apache-2.0
"""nsd on loopback: the DNS server of a test, in place of the machine's resolvers."""
import socket
import subprocess

from mailboat import free_port, until


class NameServer:
    """Answers for `zone`: the records below example.test, as lines of a zone file; other names are refused.
    `resolver` is its line for a configuration."""

    def __init__(self, folder, records, zone="test"):
        self.folder, self.zone = folder / "nsd", zone
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.resolver = f'resolver: {{servers: ["127.0.0.1:{self.port}"], dnssec: off}}\n'
        self.process = None
        self.write(records)
        (self.folder / "nsd.conf").write_text(f"""server:
  ip-address: 127.0.0.1@{self.port}
  zonesdir: "{self.folder}"
  database: ""
  username: ""
  chroot: ""
  pidfile: "{self.folder}/pid"
  xfrdfile: "{self.folder}/xfrd"
  zonelistfile: "{self.folder}/zones"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: {zone}
  zonefile: zone
""")
        self.start()

    def write(self, records):
        (self.folder / "zone").write_text(f"$ORIGIN {self.zone}.\n$TTL 300\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}\n")

    def start(self):
        self.process = subprocess.Popen(["nsd", "-d", "-c", self.folder / "nsd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.answers)

    def answers(self):
        """True once the zone is loaded: the server has its SOA."""
        name = b"".join(bytes([len(label)]) + label.encode() for label in self.zone.split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            try:
                sock.connect(("127.0.0.1", self.port))
                sock.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\6\0\1")
                reply = sock.recv(4096)
            except OSError:
                return False
        return reply[3] & 15 == 0 and reply[7] > 0

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None
