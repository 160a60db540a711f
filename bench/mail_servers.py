# SPDX-License-Identifier: Apache-2.0
"""The mail servers that are measured (servers.py lists them). Each starts on a free port
of 127.0.0.1, in its own cgroup, which counts its CPU time and which stops it, in
one of these modes:

  accept      accepts any message for its recipient and stores it
  relay       accepts it and relays it to the port `to`
  submission  accepts it after STARTTLS (and AUTH, if the server has AUTH)
  mx          accepts mail of another server for its recipient and stores it
  outbound    accepts mail of its own domain from this machine and relays it to the port `to`

Other projects' servers are Debian's packages, unpacked and never installed, in a
mount namespace with users of its own. `settings` describes in a sentence how a
server is configured beyond its defaults; the full configuration is below."""
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from mailboat import Mailboat, free_port, make_certificates, run
from peers import UNPACKED, postfix_environment, postfix_folder, unpacked, wait_for_port

RECIPIENT, SENDER, PASSWORD = "user@sink.test", "bench@perf.test", "a password"
START_S, END_S = 15, 10  # timeouts in seconds


def cgroup_root():
    for root in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if Path(root, "cgroup.procs").exists():
            return Path(root)
    raise RuntimeError("no cgroup file system: CPU cannot be counted")


def debian_version(package):
    files = sorted(UNPACKED.glob(package + "_*.deb"))
    done = subprocess.run(["dpkg-deb", "-f", str(files[-1]), "Version"], capture_output=True, text=True) if files else None
    return done.stdout.strip() if done else "?"


class Server:
    name = title = settings = None
    modes = ("accept",)
    recipient, sender, plain = RECIPIENT, SENDER, None

    def __init__(self, folder, program_of_load=None, preloaded=None, key=None):
        """`preloaded`: a library that every process of the server loads. `key`: the DKIM key with which it
        can sign (names.Key)."""
        self.folder, self.load, self.preloaded, self.key = Path(folder), program_of_load, preloaded, key
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.port = free_port()
        self.cgroup = cgroup_root() / f"mailboat-bench-{self.name}-{os.getpid()}"
        self.cgroup.mkdir(exist_ok=True)

    # ---- its processes ----

    def in_cgroup(self, *command):
        """Returns the command, which starts as a member of the cgroup."""
        return ["sh", "-c", f'echo $$ > {self.cgroup}/cgroup.procs && exec "$@"', "sh", *map(str, command)]

    def wrapped(self, *command, users=(), mounts=(), packages=()):
        """Returns the command in the cgroup and in a mount namespace with these additional
        users {name: number}, with our folders mounted over others, and with unpacked packages
        as if they were installed."""
        steps = [f"mount --bind {source} {target}" for source, target in mounts]
        if packages:
            steps.append(f"mount -t overlay overlay -o lowerdir={':'.join(f'{root}/usr' for root in packages)}:/usr /usr")
        if users or self.preloaded:
            self.write_etc(users)
            steps.append(f"mount -t overlay overlay -o lowerdir={self.folder}/etc:/etc /etc")
        if not steps:
            return self.in_cgroup(*command)
        return self.in_cgroup("unshare", "-m", "--propagation", "private", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh", *command)

    def write_etc(self, users):
        etc = self.folder / "etc"
        etc.mkdir(exist_ok=True)
        for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/false"), ("group", "{0}:x:{1}:")):
            kept = [l for l in Path("/etc", name).read_text().splitlines() if l.split(":")[0] not in users]
            (etc / name).write_text("\n".join([*kept, *(line.format(*user) for user in dict(users).items())]) + "\n")
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")  # no server there: nothing waits for DNS
        (etc / "hosts").write_text("127.0.0.1 localhost perf.test\n")
        if self.preloaded:
            (etc / "ld.so.preload").write_text(f"{self.preloaded}\n")

    def make_folders(self, *names):
        for name in names:
            (self.folder / name).mkdir(parents=True)

    def make_tls(self):
        """Returns the folder of a certificate and its key: server.pem, server.key."""
        self.make_folders("tls")
        return make_certificates(self.folder / "tls")

    def start_in_front(self, command, **options):
        """Starts a server that does not go into the background; its output goes to `log`."""
        self.start_beside(command, "log", **options)
        self.wait()

    def start_beside(self, command, log_name, **options):
        """Starts a program of the server's; returns it."""
        with open(self.folder / log_name, "wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options)

    def wait(self):
        try:
            wait_for_port(self.port, timeout=START_S)
        except AssertionError:
            log = self.folder / "log"
            words = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            raise RuntimeError("does not listen" + (f": {words[0]}" if words else "")) from None

    # ---- measurements of it ----

    @classmethod
    def version(cls):
        return ""

    def cpu_us(self):
        usage = self.cgroup / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1000
        for line in (self.cgroup / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1])
        raise RuntimeError(f"{self.cgroup} does not count CPU")

    def pids(self):
        return [int(p) for p in (self.cgroup / "cgroup.procs").read_text().split()]

    # ---- its end ----

    def signal_all(self, how):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)

    def gone_within(self, seconds):
        deadline = time.monotonic() + seconds
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.pids()

    def end(self):
        """Ends every process of the cgroup, and removes the files."""
        for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
            self.signal_all(how)
            if self.gone_within(END_S):
                break
        else:
            raise RuntimeError(f"{self.name} cannot be ended: processes {self.pids()}")
        self.cgroup.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)

    stop = end


class OurServer(Server):
    name, title, modes = "mailboat", "Mailboat", ("accept", "relay", "submission", "mx", "outbound")
    settings = ("`queue.hold: true` where it does not relay, so that it keeps what it took; a smarthost without TLS for relay; AUTH PLAIN for submission; "
                "mail authentication off (`trust.mode`), which no other has either, and no DKIM key")
    held, trust = "queue: {hold: true}\n", "trust: {mode: off}\n"
    # Programs on this machine send without signing in, and without a limit; keys are not made by themselves.
    trusting = "submission: {trusted: [127.0.0.1], local: {messages_per_hour: 0, recipients_per_hour: 0}}\ndkim: {algorithms: []}\n"
    resolver = 'resolver: {servers: ["127.0.0.1:53"], dnssec: off}\n'

    @classmethod
    def version(cls):
        return run("--version").stdout.split()[-1]

    def start(self, mode, to=None):
        relay = f"relay: {{via: smarthost, smarthost: {{host: 127.0.0.1, port: {to}, tls: none}}}}\n" if mode in ("relay", "outbound") else ""
        extra = {"relay": "", "outbound": self.trusting + self.resolver, "mx": self.held + self.resolver}.get(mode, self.held)
        self.server = Mailboat(self.folder / "server", self.make_tls(), domains=("sink.test",), extra=extra, relay=relay, wrapper=self.wrapped(),
                               trust=self.trust)
        self.server.ports[25] = self.port
        self.server.start()
        if mode == "relay":
            self.server.cli("alias", "add", self.recipient, "user@elsewhere.test")
        elif mode != "outbound":
            self.server.add_user(self.recipient, PASSWORD)
        if mode == "submission":
            self.port, self.sender = self.server.ports[587], self.recipient
            self.plain = base64.b64encode(f"\0{self.recipient}\0{PASSWORD}".encode()).decode()

    def stored(self):
        """Returns the messages that it keeps."""
        kept = json.loads(self.server.cli("queue", "list", "--json").stdout or "[]")
        return [self.server.cli("queue", "show", message["id"], "--message").stdout.encode() for message in kept]

    def stop(self):
        if hasattr(self, "server"):
            with contextlib.suppress(AssertionError):
                self.server.stop()
        self.end()


class OurServerDelivering(OurServer):
    name, title, modes, held = "mailboat-delivering", "Mailboat, delivering meanwhile", ("accept",), ""
    settings = "as Mailboat, but it delivers into the mailbox meanwhile"


class Postfix(Server):
    name, title, modes = "postfix", "Postfix", ("accept", "relay", "submission", "mx", "outbound")
    settings = ("`smtpd_client_restrictions = static:HOLD` where it does not relay; for relay `relayhost` without TLS, and what its manuals advise for load: "
                "`in_flow_delay = 0`, `smtp_connection_cache_destinations` of the relayhost, `default_destination_concurrency_limit = 100` and "
                "`initial_destination_concurrency = 20`; `default_process_limit = 300` for 100 connections; no lookups of names; "
                "no AUTH in submission, which needs another program there")
    users = {"postfix": 7001, "postdrop": 7002}
    OPEN = "mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_peername_lookup = no\n"
    HOLD = "smtpd_client_restrictions = static:HOLD\n"
    ONWARD = ("relayhost = [127.0.0.1]:{to}\nsmtp_tls_security_level = none\nin_flow_delay = 0\nsmtp_connection_cache_destinations = [127.0.0.1]:{to}\n"
              "default_destination_concurrency_limit = 100\ninitial_destination_concurrency = 20\n")
    MODES = {"accept": OPEN + HOLD, "relay": OPEN + ONWARD, "outbound": OPEN + ONWARD,
             "submission": OPEN + HOLD + "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {folder}/tls/server.key, {folder}/tls/server.pem\n",
             "mx": HOLD + "relay_domains = sink.test\nsmtpd_relay_restrictions = reject_unauth_destination\n"}

    @classmethod
    def version(cls):
        return debian_version("postfix")

    def start(self, mode, to=None):
        root, config = postfix_folder(), self.folder / "conf"
        self.make_folders("conf", "spool", "data")
        os.chown(self.folder / "data", 7001, 7001)
        if mode == "submission":
            self.make_tls()
        for name in ("postfix-files", "postfix-script", "post-install"):
            shutil.copyfile(root / "etc/postfix" / name, config / name)
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
disable_dns_lookups = yes
smtp_host_lookup = native
message_size_limit = 52428800
default_process_limit = 300
{self.MODES[mode].format(to=to, folder=self.folder)}{self.checks(mode)}""")
        (config / "master.cf").write_text(f"""127.0.0.1:{self.port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
scache    unix  -       -       n       -       1       scache
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
{self.services}""")
        command = self.wrapped(root / "usr/sbin/postfix", "-c", config, "start", users=self.users, packages=self.packages())
        done = subprocess.run(command, env=postfix_environment(), capture_output=True, text=True, timeout=START_S)
        if done.returncode != 0:
            raise RuntimeError(f"does not start: {done.stdout}{done.stderr}")
        self.wait()

    # ---- what a Postfix with further programs adds ----

    services = ""  # lines of master.cf

    def checks(self, mode):
        """Returns lines of main.cf about mail authentication."""
        return "smtpd_peername_lookup = no\n" if mode == "mx" else ""

    def packages(self):
        return ()

    def stored(self):
        """Returns the messages that it keeps, as records of its queue."""
        return [path.read_bytes() for path in (self.folder / "spool/hold").rglob("*") if path.is_file()]


class OpenSmtpd(Server):
    name, title, modes = "opensmtpd", "OpenSMTPD", ("accept", "relay", "submission")
    settings = ("transfers are paused (`smtpctl pause mta`) for accept and submission; limits of messages and recipients a session are raised; "
                "no AUTH in submission (whose handshakes fail with the OpenSSL of Debian 12, whatever the key); as shipped its listening socket has a backlog of 5, so that bursts of new connections wait for TCP's second try")

    @classmethod
    def version(cls):
        return debian_version("opensmtpd")

    def start(self, mode, to=None):
        root, config = unpacked("opensmtpd", "opensmtpd"), self.folder / "smtpd.conf"
        self.make_folders("var/smtpd", "lib/opensmtpd/empty", "run")
        (self.folder / "var/smtpd").chmod(0o711)
        tls = ""
        if mode == "submission":
            (self.make_tls() / "server.key").chmod(0o600)  # it rejects keys that others may read
            tls = "tls pki here"
        pki = f'pki here cert "{self.folder}/tls/server.pem"\npki here key "{self.folder}/tls/server.key"\n' if tls else ""
        config.write_text(f"""{pki}smtp limit max-mails 1000000
smtp limit max-rcpt 1000000
smtp max-message-size 50M
listen on 127.0.0.1 port {self.port} {tls} hostname perf.test
action "relay" relay host smtp://127.0.0.1:{to or free_port()}
match from any for any action "relay"
""")
        config.chmod(0o644)
        where = {"users": {"opensmtpd": 7003, "opensmtpq": 7004},
                 "mounts": [(self.folder / "var", "/var/spool"), (self.folder / "lib", "/var/lib"), (self.folder / "run", "/run")]}
        self.start_in_front(self.wrapped(root / "usr/sbin/smtpd", "-d", "-f", config, **where))
        if mode != "relay":
            as_group = ["setpriv", f"--regid={where['users']['opensmtpq']}", "--clear-groups"]  # it is not setgid here
            done = subprocess.run(self.wrapped(*as_group, root / "usr/sbin/smtpctl", "pause", "mta", **where), capture_output=True, text=True, timeout=START_S)
            if done.returncode != 0:
                raise RuntimeError(f"smtpctl pause mta: {done.stdout}{done.stderr}")


class OpenSmtpdWide(OpenSmtpd):
    name, title = "opensmtpd-wide", "OpenSMTPD, backlog raised"
    settings = "as OpenSMTPD, with a backlog of 1,024 (`bench/wide_backlog.c`, loaded into its processes)"

    def __init__(self, folder, program_of_load=None, preloaded=None):
        library = Path(folder).parent / "wide_backlog.so"
        if not library.exists():
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("wide_backlog.c")], check=True)
        super().__init__(folder, program_of_load, f"{library} {preloaded}" if preloaded else str(library))


class Exim(Server):
    name, title, modes = "exim", "Exim", ("accept", "relay", "submission")
    settings = ("`queue_only` for accept and submission; `smtp_accept_max = 1200` (20 as shipped) and no limit of messages a connection that are delivered at once; "
                "no lookups of names; no AUTH in submission; as shipped its 221 comes 0.2 s after QUIT, which one new connection after the other waits for")
    USER = 7005

    @classmethod
    def version(cls):
        return debian_version("exim4-daemon-light")

    def start(self, mode, to=None):
        program, config = self.folder / "exim4", self.folder / "exim.conf"
        shutil.copy(unpacked("exim", "exim4-daemon-light") / "usr/sbin/exim4", program)  # its own user must be able to execute it
        self.make_folders("spool", "log_files")
        tls = self.make_tls()
        for path in (self.folder / "spool", self.folder / "log_files", tls / "server.key"):
            os.chown(path, self.USER, self.USER)
        config.write_text(f"""exim_path = {program}
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log_files/%slog
pid_file_path = {self.folder}/spool/exim.pid
primary_hostname = perf.test
daemon_smtp_ports = {self.port}
local_interfaces = 127.0.0.1
acl_smtp_rcpt = take
tls_advertise_hosts = *
tls_certificate = {tls}/server.pem
tls_privatekey = {tls}/server.key
host_lookup =
rfc1413_hosts =
rfc1413_query_timeout = 0s
deliver_drop_privilege = true
never_users = root
smtp_accept_max = 1200
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
smtp_connect_backlog = 1000
remote_max_parallel = 20
{"" if mode == "relay" else "queue_only = true"}
begin acl
take:
  accept hosts = 127.0.0.1
begin routers
onward:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  port = {to or free_port()}
  allow_localhost
  hosts_try_fastopen =
begin retry
* * F,2h,15m
""")
        config.chmod(0o644)
        self.start_in_front(self.wrapped(program, "-C", config, "-bdf", "-q10m", users={"Debian-exim": self.USER}))


class NothingStored(Server):
    name, title, modes = "nothing-stored", "nothing stored", ("accept", "submission")
    settings = "the ceiling: Postfix's smtp-sink, which takes everything and keeps nothing; for submission a server that shakes hands (TLS) and no more"

    @classmethod
    def version(cls):
        return debian_version("postfix")

    def start(self, mode, to=None):
        if mode == "submission":
            tls = self.make_tls()
            command = [self.load, "serve", f"port={self.port}", f"certificate={tls}/server.pem", f"key={tls}/server.key"]
        else:
            command = [postfix_folder() / "usr/sbin/smtp-sink", "-u", "root", f"127.0.0.1:{self.port}", "1000"]
        self.start_in_front(self.wrapped(*command), env=postfix_environment())
