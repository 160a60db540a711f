# SPDX-License-Identifier: Apache-2.0
"""Programs of Postfix, Exim and OpenSMTPD as peers. They are unpacked into a folder of the tests and never
installed, because Debian's mail servers conflict with each other and would start by themselves."""
import contextlib
import fcntl
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from mailboat import PATIENCE, ROOT, free_port

UNPACKED = ROOT / "build-peers"


@contextlib.contextmanager
def fetching():
    """Holds a lock, so that concurrent test runs in this tree download each package once."""
    UNPACKED.mkdir(exist_ok=True)
    with open(UNPACKED / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(package):
    """Downloads a package's file; an outdated package list names removed files, so it is updated once."""
    download = ["apt-get", "-qq", "download", package]
    for old in UNPACKED.glob(f"{package}_*.deb"):
        old.unlink()
    if subprocess.run(download, cwd=UNPACKED, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "-qq", "update"], check=True, capture_output=True)
        subprocess.run(download, cwd=UNPACKED, check=True, capture_output=True)
    return next(UNPACKED.glob(f"{package}_*.deb"))


def unpacked(name, *packages):
    """Downloads and unpacks Debian packages once; returns their common root, which gets its name when complete."""
    root, partial = UNPACKED / name, UNPACKED / f"{name}.partial"
    with fetching():
        if not root.exists():
            shutil.rmtree(partial, ignore_errors=True)
            for package in packages:
                subprocess.run(["dpkg", "-x", str(fetch(package)), str(partial)], check=True)
            partial.rename(root)
    return root


def npm_unpacked(name, *packages):
    """Installs packages of the npm registry once, in a folder of the tests; None if the registry is out of reach."""
    root, partial = UNPACKED / name, UNPACKED / f"{name}.partial"
    with fetching():
        if not root.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            (partial / "package.json").write_text('{"private": true}\n')
            done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", *packages],
                                  cwd=partial, timeout=300)
            if done.returncode != 0:
                return None
            partial.rename(root)
    return root


def postfix_folder():
    return unpacked("postfix", "postfix")


def postfix_environment():
    return {**os.environ, "LD_LIBRARY_PATH": str(postfix_folder() / "usr/lib/postfix")}


def smtp_source(server_address, port, *arguments, sessions=1, count=1, size=4096, sender="bench@perf.test", to="ada@example.org",
                timeout=120):
    """Runs Postfix's load program; returns its exit code and output."""
    return subprocess.run([str(postfix_folder() / "usr/sbin/smtp-source"), *arguments, "-s", str(sessions), "-m", str(count),
                           "-l", str(size), "-f", sender, "-t", to, f"{server_address}:{port}"],
                          env=postfix_environment(), capture_output=True, text=True, timeout=timeout)


class SmtpSink:
    """Postfix's server that accepts everything; `messages()` returns the received messages."""

    def __init__(self, folder, *arguments):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = subprocess.Popen(
            [str(postfix_folder() / "usr/sbin/smtp-sink"), "-u", "root", "-d", str(self.folder) + "/m.", *arguments,
             f"127.0.0.1:{self.port}", "100"], env=postfix_environment(), stderr=subprocess.PIPE)
        wait_for_port(self.port)

    def messages(self):
        return [p.read_bytes() for p in sorted(self.folder.rglob("*")) if p.is_file()]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wait_for_port(port, address="127.0.0.1", timeout=PATIENCE):
    """Waits until a server listens; there is no event for another program's socket."""
    import socket
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            threading.Event().wait(0.05)
    raise AssertionError(f"nothing listens on {address}:{port}")


class Postfix:
    """A complete Postfix in its own mount namespace (needs root), which accepts
    mail for `domain` and stores it in mailboxes below its folder. In a network
    namespace, if one is given, it listens on all four ports.
    `null_client`: lines of main.cf that make it relay all mail."""

    def __init__(self, folder, domain, certificates, namespace=None, null_client=""):
        self.folder, self.port, self.domain = Path(folder), 25 if namespace else free_port(), domain
        self.enter = ["ip", "netns", "exec", namespace] if namespace else []
        address = "all" if namespace else "127.0.0.1"
        root = postfix_folder()
        config = self.folder / "conf"
        for sub in ("conf", "spool", "data", "mail", "etc"):
            (self.folder / sub).mkdir(parents=True, exist_ok=True)
        for parent in [self.folder, *self.folder.parents]:
            if str(parent).startswith("/tmp/"):
                os.chmod(parent, 0o755)
        os.chown(self.folder / "data", 7001, 7001)
        os.chown(self.folder / "mail", 7005, 7005)
        users = Path("/etc/passwd").read_text()
        groups = Path("/etc/group").read_text()
        keep = lambda text: "\n".join(l for l in text.splitlines() if not l.startswith(("postfix:", "postdrop:")))
        (self.folder / "etc/passwd").write_text(keep(users) + f"\npostfix:x:7001:7001::{self.folder}/spool:/bin/false\n")
        (self.folder / "etc/group").write_text(keep(groups) + "\npostfix:x:7001:\npostdrop:x:7002:\n")
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
inet_interfaces = {address}
inet_protocols = ipv4
myhostname = postfix.{domain}
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {self.folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:7005
virtual_gid_maps = static:7005
virtual_mailbox_limit = 0
message_size_limit = 104857600
smtpd_tls_chain_files = {certificates}/server.key, {certificates}/server.pem
smtpd_tls_security_level = may
smtpd_tls_session_cache_database =
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
{null_client}""")
        more = "587 inet n - n - - smtpd\n2525 inet n - n - - smtpd\n465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n" if namespace else ""
        (config / "master.cf").write_text(f"""{self.port if namespace else f"127.0.0.1:{self.port}"} inet n - n - - smtpd
{more}cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
virtual   unix  -       n       n       -       -       virtual
smtp      unix  -       -       n       -       -       smtp
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
""")
        self.config = config
        self._run("start")
        if not namespace:
            wait_for_port(self.port)

    def _run(self, verb):
        script = (f"mount --bind {self.folder}/etc/passwd /etc/passwd && mount --bind {self.folder}/etc/group /etc/group && "
                  f"exec {postfix_folder()}/usr/sbin/postfix -c {self.config} {verb}")
        done = subprocess.run([*self.enter, "unshare", "-m", "--propagation", "private", "sh", "-c", script], env=postfix_environment(),
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"postfix {verb}: {done.stdout}{done.stderr}")

    def mail(self):
        new = self.folder / "mail/all/new"
        return [p.read_bytes() for p in new.iterdir()] if new.is_dir() else []

    def stop(self):
        self._run("stop")


def bound_users(folder, lines):
    """Makes copies of passwd and group with these additional users, {name: number};
    returns the shell commands that mount them in a mount namespace."""
    (folder / "etc").mkdir(parents=True, exist_ok=True)
    for name, line in (("passwd", "{0}:x:{1}:{1}::/:/bin/false"), ("group", "{0}:x:{1}:")):
        kept = [l for l in Path("/etc", name).read_text().splitlines() if l.split(":")[0] not in lines]
        (folder / "etc" / name).write_text("\n".join([*kept, *(line.format(*user) for user in lines.items())]) + "\n")
    return f"mount --bind {folder}/etc/passwd /etc/passwd && mount --bind {folder}/etc/group /etc/group"


def exim_program(folder):
    """Returns a copy of Exim: its own user must be able to execute it, wherever the tree is."""
    return shutil.copy(unpacked("exim", "exim4-daemon-light") / "usr/sbin/exim4", Path(folder) / "exim4")


class Exim:
    """Debian's Exim in a mount namespace (needs root). In a network namespace it is on all four ports and accepts
    mail for `domain`, except "nobody", into one Maildir. Without one it is on a port of loopback; then `relay_to`
    is the port to which it relays all mail."""

    USER = 7005
    KEEP = """begin routers
all:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  user = {user}
  group = {user}
"""
    RELAY = """begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  port = {relay_to}
  allow_localhost
"""

    def __init__(self, folder, domain, certificates, namespace=None, relay_to=None):
        self.folder = Path(folder)
        self.port = 25 if namespace else free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program = exim_program(self.folder)
        for sub in ("spool", "log", "mail"):
            (self.folder / sub).mkdir(parents=True, exist_ok=True)
        for parent in [self.folder, *self.folder.parents]:
            if str(parent).startswith("/tmp/"):
                os.chmod(parent, 0o755)
        bind_users = bound_users(self.folder, {"Debian-exim": self.USER})
        key, certificate = self.folder / "exim.key", self.folder / "exim.pem"
        key.write_bytes((Path(certificates) / "server.key").read_bytes())
        certificate.write_bytes((Path(certificates) / "server.pem").read_bytes())
        for path in (self.folder, key, certificate, *(self.folder / sub for sub in ("spool", "log", "mail"))):
            os.chown(path, self.USER, self.USER)
        ports = "daemon_smtp_ports = 25 : 587 : 2525 : 465\ntls_on_connect_ports = 465" if namespace else (
            f"daemon_smtp_ports = {self.port}\nlocal_interfaces = 127.0.0.1\nsmtp_accept_queue_per_connection = 0")
        then = (self.RELAY if relay_to else self.KEEP).format(folder=self.folder, user=self.USER, relay_to=relay_to)
        (self.folder / "exim.conf").write_text(f"""exim_path = {self.program}
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%slog
pid_file_path = {self.folder}/exim.pid
primary_hostname = exim.{domain}
{ports}
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
acl_smtp_rcpt = take
host_lookup =
rfc1413_query_timeout = 0s
never_users = root
begin acl
take:
  deny local_parts = nobody
  accept {"" if relay_to else f"domains = {domain}"}
  deny
{then}""")
        script = f"{bind_users} && exec {self.program} -C {self.folder}/exim.conf -bdf -q1h"
        enter = ["ip", "netns", "exec", namespace] if namespace else []
        self.process = subprocess.Popen([*enter, "unshare", "-m", "--propagation", "private", "sh", "-c", script],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if not namespace:
            wait_for_port(self.port)

    def mail(self):
        return [p.read_bytes() for p in (self.folder / "mail/new").glob("*")]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class OpenSmtpd:
    """Debian's OpenSMTPD in network and mount namespaces (needs root), on
    port 25; it accepts mail for `domain`, except "nobody", into one Maildir. Its
    spool, programs and sockets are at their compiled-in paths."""

    def __init__(self, folder, domain, certificates, namespace, tls=True):
        self.folder = Path(folder)
        root = unpacked("opensmtpd", "opensmtpd")
        for sub in ("spool", "mail", "tls"):
            (self.folder / sub).mkdir(parents=True, exist_ok=True)
        (self.folder / "spool").chmod(0o711)
        for parent in [self.folder, *self.folder.parents]:
            if str(parent).startswith("/tmp/"):
                os.chmod(parent, 0o755)
        bind_users = bound_users(self.folder, {"opensmtpd": 7011, "opensmtpq": 7012, "keeper": 7013})
        os.chown(self.folder / "mail", 7013, 7013)
        for name in ("server.key", "server.pem"):  # it rejects keys that others may read
            shutil.copy(Path(certificates) / name, self.folder / "tls" / name)
            (self.folder / "tls" / name).chmod(0o600)
        (self.folder / "domains").write_text(f"@{domain} keeper\n")
        (self.folder / "smtpd.conf").write_text(f"""pki here cert "{self.folder}/tls/server.pem"
pki here key "{self.folder}/tls/server.key"
table people {{ "@" = "keeper" }}
table nobody {{ "nobody@{domain}" }}
listen on 0.0.0.0 port 25 hostname opensmtpd.{domain} {"tls pki here" if tls else ""}
action "keep" maildir "{self.folder}/mail" virtual <people>
match from any for rcpt-to <nobody> reject
match from any for domain "{domain}" action "keep"
""")
        script = (f"{bind_users} && mount -t tmpfs none /run && mount -t tmpfs none /usr/libexec && cp -r {root}/usr/libexec/opensmtpd /usr/libexec/ && "
                  f"mount -t tmpfs none /var/lib && mkdir -p -m 755 /var/lib/opensmtpd/empty && mount -t tmpfs none /var/spool && mkdir /var/spool/smtpd && "
                  f"mount --bind {self.folder}/spool /var/spool/smtpd && exec {root}/usr/sbin/smtpd -d -v -f {self.folder}/smtpd.conf 2> {self.folder}/smtpd.log")
        self.process = subprocess.Popen(["ip", "netns", "exec", namespace, "unshare", "-m", "--propagation", "private", "sh", "-c", script])

    def mail(self):
        return [p.read_bytes() for p in (self.folder / "mail/new").glob("*")]

    def stop(self):
        self.process.terminate()
        self.process.wait()
