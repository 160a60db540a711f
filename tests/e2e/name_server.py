# SPDX-License-Identifier: Apache-2.0
"""nsd on loopback: the DNS of a test's own, in place of the machine's resolvers."""
import subprocess

from mailboat import free_port
from peers import wait_for_port


class NameServer:
    """Answers for `zone`: the records below example.test, as lines of a zone file; all else is refused.
    `resolver` is its line of a configuration."""

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
        wait_for_port(self.port)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None
