# SPDX-License-Identifier: Apache-2.0
"""Describes the machine of the measurement, and the versions of other servers."""
import datetime
import os
import platform
import re
import subprocess
import time
from pathlib import Path

from mailboat import ROOT
from servers import SERVERS

BUSY_QUIET, QUIET_WAIT_S = 0.05, 180  # of the processors' time, before the start
CLIENTS = {"curl": ["curl", "--version"], "msmtp": ["msmtp", "--version"], "Python": ["python3", "--version"], "PHP": ["php", "--version"], "node": ["node", "--version"]}


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def processor():
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{os.cpu_count()} cores of {found.group(1) if found else platform.machine()}"


def machine(folder):
    memory_kib = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1))
    virtual = output("systemd-detect-virt").strip()
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', Path("/etc/os-release").read_text(), re.M)
    return {"processor": processor() + (f" ({virtual})" if virtual not in ("", "none") else ""), "memory": f"{memory_kib / (1 << 20):.0f} GiB",
            "system": system.group(1) if system else platform.system(), "kernel": f"Linux {platform.release()}",
            "file system": " ".join(output("findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(folder)).split())}


def versions(names):
    """Returns the version of each server; called after the run, when all packages have been fetched."""
    found = {name: SERVERS[name].version() for name in names}
    commit = output("git", "-C", str(ROOT), "describe", "--always", "--dirty").strip()
    if commit and "mailboat" in found:
        found["mailboat"] += f" ({commit})"
    return found


def busy(seconds=3):
    """Returns the share of the processors' time that went into anything at all, others' machines included."""
    def times():
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    (whole, idle), _ = times(), time.sleep(seconds)
    whole_after, idle_after = times()
    return 1 - (idle_after - idle) / max(whole_after - whole, 1)


def wait_until_quiet(say):
    """Waits at most QUIET_WAIT_S until nothing else runs, and returns how busy the machine is then."""
    deadline = time.monotonic() + QUIET_WAIT_S
    while (share := busy()) > BUSY_QUIET and time.monotonic() < deadline:
        say(f"{share:.0%} busy: waiting until the machine is quiet")
    return share


def about(folder, options, busy_before):
    clients = {name: found.group(0) for name, command in CLIENTS.items() if (found := re.search(r"\d+(\.\d+)+", output(*command)))}
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), "machine": machine(folder), "clients": clients,
            "busy_before": busy_before, "seconds": options.seconds, "quick": options.quick, "command": options.command}
