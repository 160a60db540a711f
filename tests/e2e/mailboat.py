# SPDX-License-Identifier: Apache-2.0
"""A Mailboat server for a test: its configuration, its processes, its log."""
import email
import email.policy
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("MAILBOAT", ROOT / "build" / "mailboat"))
PATIENCE = 30  # seconds until a test gives up on an event


_given = set()
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def free_port(family=socket.AF_INET):
    """Returns a port that was not returned before, that no other worker uses, and that the kernel does not
    assign to outgoing connections."""
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    while True:
        port = random.randrange(20000 + WORKER, 32768, WORKERS)
        with socket.socket(family) as s:
            try:
                s.bind((address, port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


def _openssl(folder, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
RSA = ("-newkey", "rsa:2048", "-nodes")


def make_certificate(ca, folder, stem, *names, expired=False, early=False, self_signed=False, kind=EC):
    """Writes STEM.pem and STEM.key for these names, signed by the CA of a folder or self-signed; `early`:
    valid from 2099 on."""
    _openssl(folder, "req", *kind, "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={names[0]}")
    kinds = ("IP:" if name.replace(".", "").isdigit() or ":" in name else "DNS:" for name in names)
    (folder / f"{stem}.ext").write_text("subjectAltName=" + ",".join(kind + name for kind, name in zip(kinds, names)) + "\n")
    signer = ("-signkey", f"{stem}.key") if self_signed else ("-CA", ca / "ca.pem", "-CAkey", ca / "ca.key", "-CAcreateserial")
    if expired or early:  # this openssl-x509 cannot set dates; openssl-ca can
        (folder / "index").write_text("")
        (folder / "ca.conf").write_text(f"[ca]\ndefault_ca = d\n[d]\ndatabase = {folder}/index\nnew_certs_dir = {folder}\nrand_serial = yes\n"
                                        "default_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n")
        _openssl(folder, "ca", "-batch", "-config", "ca.conf", "-cert", ca / "ca.pem", "-keyfile", ca / "ca.key", "-in", f"{stem}.csr", "-out", f"{stem}.pem",
                 "-notext", "-startdate", "20990101000000Z" if early else "20200101000000Z",
                 "-enddate", "20990201000000Z" if early else "20200201000000Z", "-extfile", f"{stem}.ext")
    else:
        _openssl(folder, "x509", "-req", "-in", f"{stem}.csr", *signer, "-days", "30", "-extfile", f"{stem}.ext", "-out", f"{stem}.pem")
    for file in folder.iterdir():
        file.chmod(0o644)


def make_certificates(folder, *more_names, kind=EC):
    """Makes a CA, and a certificate and key for localhost, 127.0.0.1, ::1 and more names."""
    _openssl(folder, "req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Test CA")
    make_certificate(folder, folder, "server", "localhost", "mx.example.org", "127.0.0.1", "::1", *more_names, kind=kind)
    return folder


def run(*arguments, text_input=None, check=True, timeout=60, **options):
    """Runs the program once and returns its output as text."""
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], input=text_input, capture_output=True, text=True,
                          timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"mailboat {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Mailboat:
    """`ports` maps each of 25, 587, 465 and 2525 to the port in use. `trust`: mail authentication is off by
    default, as messages of other tests have no From; "" is the server's default."""

    def __init__(self, folder, certificates, address="127.0.0.1", domains=("example.org",), extra="", relay="", limits="",
                 environment=None, wrapper=(), trust="trust: {mode: off}\n"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o755)
        for parent in self.folder.parents:  # the processes run as other users and must be able to enter
            if os.access(parent, os.W_OK) and str(parent).startswith("/tmp/"):
                os.chmod(parent, parent.stat().st_mode | 0o011)
        self.data = self.folder / "data"
        self.config = self.folder / "mailboat.conf"
        self.certificates = certificates
        self.address = address
        self.ca = certificates / "ca.pem"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.ports = {port: free_port(family) for port in (25, 587, 465, 2525)}
        self.domains = domains
        self.extra, self.relay, self.limits, self.trust = extra, relay, limits, trust
        self.environment = environment or {}
        self.wrapper = list(wrapper)
        self.log, self.changed = [], threading.Condition()
        self.process = None
        self.may_break_the_sandbox = False

    def write_config(self):
        roles = {25: ("mx", "starttls"), 587: ("submission", "starttls"), 465: ("submission", "implicit"),
                 2525: ("submission", "starttls")}
        listeners = "".join(f'  - {{address: "{self.address}", port: {self.ports[p]}, role: {r}, tls: {t}}}\n'
                            for p, (r, t) in roles.items())
        self.config.write_text(
            f"hostname: mx.example.org\ndata_dir: {self.data}\ndomains: [{', '.join(self.domains)}]\n"
            f"tls:\n  certificate: {self.certificates}/server.pem\n  key: {self.certificates}/server.key\n"
            f"listeners:\n{listeners}{self.relay}{self.limits}{self.extra}"
            + ("" if "trust:" in self.relay + self.limits + self.extra else self.trust))

    def start(self, wait=True):
        self.write_config()
        self.log.clear()
        self.process = subprocess.Popen([*self.wrapper, str(PROGRAM), "serve", "--config", str(self.config)],
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace",
                                        env={**os.environ, **self.environment})
        threading.Thread(target=self._read_log, args=(self.process,), daemon=True).start()
        if wait:
            self.wait_log("ready")
        return self

    def _read_log(self, process):
        for line in process.stderr:
            with self.changed:
                self.log.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.log.append("(end of log)")
            self.changed.notify_all()

    def lines(self, event, *parts, since=0):
        """Returns the log lines of an event that contain all the parts."""
        found = []
        for line in self.log[since:]:
            words = line.split(" ", 4)
            if len(words) > 3 and words[3] == event and all(str(p) in line for p in parts):
                found.append(line)
        return found

    def wait_log(self, event, *parts, count=1, timeout=PATIENCE, since=0):
        """Waits until the log has `count` such lines, and returns them."""
        deadline, found = time.monotonic() + timeout, []
        with self.changed:
            while True:
                found += self.lines(event, *parts, since=since)
                since = len(self.log)  # a log can be very long: no line is checked twice
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self.log[-1:] == ["(end of log)"]:
                    raise AssertionError(f"{len(found)} of {count} lines '{event}' {parts} in the log; its end:\n" +
                                         "\n".join(self.log[-40:]))
                self.changed.wait(left)

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(PATIENCE + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not stop; its log:\n" + "\n".join(self.log[-40:]))
        self.process = None
        until(lambda: self.log[-1:] == ["(end of log)"])
        forbidden = self.lines("process_died", " call=")
        assert self.may_break_the_sandbox or not forbidden, "a process made a system call that its sandbox does not allow:\n" + "\n".join(forbidden)
        return code

    def ended(self):
        """Returns the exit code of a server that ends by itself, after its last log line."""
        code = self.process.wait(PATIENCE)
        self.process = None
        until(lambda: self.log[-1:] == ["(end of log)"])
        return code

    # ---- users ----

    def cli(self, *arguments, **options):
        return run(*arguments, "--config", self.config, **options)

    def add_user(self, address, password):
        self.cli("user", "add", address, "--password-stdin", text_input=password + "\n")

    def maildir(self, address):
        user, domain = address.split("@")
        return self.data / "mail" / domain / user / "Maildir"

    def mail(self, address):
        """Returns the messages in the mailbox, oldest first."""
        new = self.maildir(address) / "new"
        return [p.read_bytes() for p in sorted(new.iterdir(), key=lambda p: p.stat().st_mtime)] if new.is_dir() else []

    def arrivals(self, address, subject):
        """Waits for mail with that subject and returns all such messages. A log line can belong to another
        message for the same mailbox; this waits for the message itself."""
        def found():
            return [m for m in self.mail(address) if subject_of(m) == subject]
        until(found)
        return found()

    def queue_count(self):
        return len(json.loads(self.cli("queue", "list", "--json").stdout or "[]"))

    # ---- processes ----

    def processes(self):
        """Maps each role to the process ids of the children with that name."""
        roles = {}
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        for child in children:
            try:
                name = Path(f"/proc/{child}/comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                continue
            if name in ("mailboat", "mailboat-chore"):  # runs now and then, and ends; or it has no name yet
                continue
            roles.setdefault(name.split("/")[-1].removeprefix("mailboat-").split("-")[0], []).append(int(child))
        return roles


def until(is_true, patience=PATIENCE, pause=0.02):
    """Waits until the condition holds or `patience` ends, for events that no log line reports. `pause` is the
    time between checks; at least as long as a check took: one that runs a program must not keep busy the
    processor that the server needs."""
    deadline = time.monotonic() + patience
    while True:
        began = time.monotonic()
        if is_true() or time.monotonic() >= deadline:
            return
        time.sleep(max(pause, min(time.monotonic() - began, 0.2)))


def subject_of(message):
    return email.message_from_bytes(message, policy=email.policy.default)["Subject"]


def memory_kib(pid):
    """Returns the proportional memory (PSS) of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def smtp(server, port, starttls=True, user=None, password=None):
    """Returns an smtplib client that is connected, and signed in if a user is given."""
    import smtplib
    import ssl
    context = ssl.create_default_context(cafile=server.ca)
    if port == 465:
        client = smtplib.SMTP_SSL("localhost" if server.address == "127.0.0.1" else server.address, server.ports[465],
                                  context=context, timeout=PATIENCE)
    else:
        client = smtplib.SMTP("localhost" if server.address == "127.0.0.1" else server.address, server.ports[port], timeout=PATIENCE)
        if starttls:
            client.starttls(context=context)
    if user is not None:
        client.login(user, password)
    return client
