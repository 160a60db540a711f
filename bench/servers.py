# SPDX-License-Identifier: Apache-2.0
"""The servers that bench/run measures: each starts on a free port of
127.0.0.1 in a cgroup of its own, takes any message for its recipient and
keeps it (the ceiling keeps nothing)."""
import os
import signal
import subprocess
import time
from pathlib import Path

from mailboat import Mailboat, free_port, make_certificates
from peers import UNPACKED, postfix_environment, postfix_folder, wait_for_port


def cgroup_root():
    for root in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if Path(root, "cgroup.procs").exists():
            return Path(root)
    raise RuntimeError("no cgroup file system: CPU cannot be accounted")


def smtp_source(port, *arguments, sessions, count, size, to):
    return subprocess.run([str(postfix_folder() / "usr/sbin/smtp-source"), *arguments, "-s", str(sessions), "-m", str(count), "-l",
                           str(size), "-f", "bench@perf.test", "-t", to, f"127.0.0.1:{port}"], env=postfix_environment(),
                          capture_output=True, text=True, timeout=60)


def unpacked(package):
    """Downloads and unpacks a Debian package once; returns its root."""
    root = UNPACKED / package
    UNPACKED.mkdir(exist_ok=True)
    if not root.is_dir():
        subprocess.run(["apt-get", "-qq", "download", package], cwd=UNPACKED, check=True, capture_output=True)
        subprocess.run(["dpkg", "-x", str(next(UNPACKED.glob(package + "_*.deb"))), str(root)], check=True)
    return root


class Server:
    name = recipient = None

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        self.cgroup = cgroup_root() / f"mailboat-bench-{self.name}-{os.getpid()}"
        self.cgroup.mkdir(exist_ok=True)

    def in_cgroup(self, *command):
        """The command, to be started as a member of the cgroup."""
        return ["sh", "-c", f'echo $$ > {self.cgroup}/cgroup.procs && exec "$@"', "sh", *map(str, command)]

    def private_mounts(self, binds, *command):
        """The command in a mount namespace with these files over others."""
        mounts = " && ".join(f"mount --bind {source} {target}" for source, target in binds)
        return self.in_cgroup("unshare", "-m", "--propagation", "private", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command)

    def cpu_us(self):
        usage = self.cgroup / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1000
        for line in (self.cgroup / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1])
        raise RuntimeError(f"{self.cgroup} does not account CPU")

    def pids(self):
        return [int(p) for p in (self.cgroup / "cgroup.procs").read_text().split()]

    def users(self, lines, groups):
        """Copies of passwd and group with users of the peer's own."""
        for file, own in (("passwd", lines), ("group", groups)):
            names = tuple(l.split(":")[0] + ":" for l in own)
            kept = [l for l in Path("/etc", file).read_text().splitlines() if not l.startswith(names)]
            (self.folder / file).write_text("\n".join(kept + own) + "\n")
        return [(self.folder / "passwd", "/etc/passwd"), (self.folder / "group", "/etc/group")]

    def end(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        while self.pids():
            time.sleep(0.05)
        self.cgroup.rmdir()

    stop = end


class OurServer(Server):
    """Accepts and keeps (queue.hold): what is compared is 250 after the sync."""
    name, recipient, extra = "mailboat", "user@sink.test", "queue: {hold: true}\n"

    def start(self):
        tls = self.folder / "tls"
        tls.mkdir()
        self.server = Mailboat(self.folder / "server", make_certificates(tls), domains=("sink.test",), extra=self.extra,
                               wrapper=self.in_cgroup())
        self.server.ports[25] = self.port
        self.server.start()
        self.server.add_user(self.recipient, "a password")

    def stop(self):
        self.server.stop()
        self.end()


class OurServerDelivering(OurServer):
    """The same, but delivering into the mailbox meanwhile."""
    name, extra = "mailboat-delivering", ""


class Postfix(Server):
    name, recipient = "postfix", "user@sink.test"

    def start(self, more_main="", more_master=""):
        root, config = postfix_folder(), self.folder / "conf"
        for sub in ("conf", "spool", "data"):
            (self.folder / sub).mkdir()
        os.chown(self.folder / "data", 7001, 7001)
        for name in ("postfix-files", "postfix-script", "post-install"):
            (config / name).write_bytes((root / "etc/postfix" / name).read_bytes())
        (config / "dynamicmaps.cf").write_text("")
        (config / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {self.folder}/spool
data_directory = {self.folder}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {config}
sendmail_path = {root}/usr/sbin/sendmail
mail_owner = postfix
setgid_group = postdrop
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH
maillog_file = {self.folder}/maillog
maillog_file_prefixes = {self.folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = perf.test
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_restrictions = static:HOLD
disable_dns_lookups = yes
smtp_host_lookup = native
message_size_limit = 52428800
smtpd_peername_lookup = no
default_process_limit = 300
{more_main}""")
        (config / "master.cf").write_text(f"""127.0.0.1:{self.port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
{more_master}""")
        binds = self.users([f"postfix:x:7001:7001::{self.folder}/spool:/bin/false"], ["postfix:x:7001:", "postdrop:x:7002:"])
        done = subprocess.run(self.private_mounts(binds, root / "usr/sbin/postfix", "-c", config, "start"), env=postfix_environment(),
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"postfix does not start: {done.stdout}{done.stderr}")
        wait_for_port(self.port)


class OpenSmtpd(Server):
    """Its queue does not sync (seen by strace): its 250 is not durable."""
    name, recipient = "opensmtpd", "user@sink.test"

    def start(self):
        root, config = unpacked("opensmtpd"), self.folder / "smtpd.conf"
        for sub in ("var/smtpd", "lib/opensmtpd/empty", "run"):
            (self.folder / sub).mkdir(parents=True)
        os.chmod(self.folder / "var/smtpd", 0o711)
        config.write_text(f"""smtp limit max-mails 1000000
smtp limit max-rcpt 1000000
smtp max-message-size 50M
listen on 127.0.0.1 port {self.port} hostname perf.test
action "relay" relay host smtp://127.0.0.1:{free_port()}
match from any for any action "relay"
""")
        config.chmod(0o644)
        binds = self.users(["opensmtpd:x:7003:7003::/var/lib/opensmtpd/empty:/bin/false",
                            "opensmtpq:x:7004:7004::/var/lib/opensmtpd/empty:/bin/false"], ["opensmtpd:x:7003:", "opensmtpq:x:7004:"])
        binds += [(self.folder / "var", "/var/spool"), (self.folder / "lib", "/var/lib"), (self.folder / "run", "/run")]
        log = open(self.folder / "log", "wb")
        subprocess.Popen(self.private_mounts(binds, root / "usr/sbin/smtpd", "-d", "-f", config), stdout=log, stderr=log,
                         stdin=subprocess.DEVNULL)
        wait_for_port(self.port)


class NothingStored(Server):
    """Postfix's smtp-sink: takes everything, keeps nothing. The ceiling."""
    name, recipient = "nothing-stored", "user@sink.test"

    def start(self):
        subprocess.Popen(self.in_cgroup(postfix_folder() / "usr/sbin/smtp-sink", "-u", "root", f"127.0.0.1:{self.port}", 1000),
                         env=postfix_environment(), stderr=subprocess.DEVNULL)
        wait_for_port(self.port)


SERVERS = {kind.name: kind for kind in (OurServer, OurServerDelivering, Postfix, OpenSmtpd, NothingStored)}
