# SPDX-License-Identifier: Apache-2.0
"""DKIM keys in the folder of a test's server, as if DNS had shown their records."""
import base64
import json
import os
import signal
import subprocess
import time

from mailboat import until


class Keys:
    """Keys in a server's folder, and the zone that publishes them."""

    def __init__(self, server):
        self.server, self.zone = server, {}

    def add(self, domain, selector="one", algorithm="rsa", stage="active", number=1, pem=None, source=None):
        """`source`: the file of a key that is there already; `pem`: the text of the file in its place."""
        folder = self.server.data / "keys" / domain
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        (folder.parent).chmod(0o711)
        file = folder / f"{selector}.pem"
        kind = ["-algorithm", "ED25519"] if algorithm == "ed25519" else ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        if source is None:
            subprocess.run(["openssl", "genpkey", *kind, "-out", str(file)], check=True, capture_output=True)
        else:
            file.write_bytes(source.read_bytes())
        der = subprocess.run(["openssl", "pkey", "-in", str(file), "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        public = base64.b64encode(der[-32:] if algorithm == "ed25519" else der).decode()
        self.zone[f"{selector}._domainkey.{domain}"] = {"TXT": [f"v=DKIM1; k={algorithm}; p={public}"]}
        now = int(time.time())
        (folder / f"{selector}.json").write_text(json.dumps(
            {"form": 1, "algorithm": algorithm, "p": public, "number": number, "state": stage, "resolver": "ours", "servers": "ours",
             "ttl": 300, "prepared": now - 9000, "published": now - 8000, "active": now - 7000, "looked": now - 60, "shown": now - 8000}))
        if pem is not None:
            file.write_text(pem)
        file.chmod(0o400)
        owner = self.owner()
        os.chown(file, *owner)
        return self

    def owner(self):
        pid = self.server.processes()["sign"][0]
        facts = os.stat(f"/proc/{pid}")
        return facts.st_uid, facts.st_gid

    def text(self, name):
        return self.zone.get(name.rstrip("."), {}).get("TXT", [""])[0]


def reload(server):
    before, since = server.processes()["relay"], len(server.log)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded", since=since)  # the new relay may come before the new keys
    until(lambda: (now := server.processes()).get("relay", []) and not set(now["relay"]) & set(before) and len(now["sign"]) == 1)
