# SPDX-License-Identifier: Apache-2.0
"""The servers that authenticate mail: in mode `mx` they check SPF, DKIM, DMARC and the client's name (iprev),
in mode `outbound` they sign with DKIM. Their DNS and the keys are those of names.py, so
that they run in its network alone."""
import shutil
import socket
import time

from mail_servers import OurServer, Postfix, debian_version
from names import OWN_DOMAIN, RESOLVER, SELECTOR, unbound_folder
from peers import postfix_folder, unpacked
from signing_keys import Keys, reload

PROGRAM_START_S = 60
RECEIVER = "mx.perf.test"  # whose results count


class OurServerChecking(OurServer):
    name, title, modes = "mailboat-checking", "Mailboat, checking", ("mx",)
    settings, trust = "as Mailboat, with mail authentication as shipped (`trust.mode: enforce`)", ""


class OurServerSigning(OurServer):
    name, title, modes = "mailboat-signing", "Mailboat, signing", ("outbound",)
    settings = "as Mailboat, with a DKIM key (RSA, 2,048 bits) of the sender's domain"

    def start(self, mode, to=None):
        super().start(mode, to)
        Keys(self.server).add(OWN_DOMAIN, SELECTOR, source=self.key.file)
        reload(self.server)


class PostfixWithPrograms(Postfix):
    """A Postfix with further programs, each in the same cgroup, which talk to it through sockets in `folder`."""
    DEBIAN = ()  # packages of the programs, with the libraries that they need
    NAMED = ()  # those whose versions the page names

    @classmethod
    def fetch(cls):
        return unpacked(cls.name, *cls.DEBIAN)

    @classmethod
    def version(cls):
        return ", ".join([debian_version("postfix"), *(f"{package} {debian_version(package)}" for package in cls.NAMED)])

    def packages(self):
        return (self.fetch(),)

    def start_program(self, name, *command):
        """Starts a program, and waits for the socket NAME.sock."""
        path = self.folder / f"{name}.sock"
        program = self.start_beside(self.wrapped(*command, users=self.users, packages=self.packages()), f"{name}.log")
        deadline = time.monotonic() + PROGRAM_START_S
        while not listens(path):
            if program.poll() is not None or time.monotonic() > deadline:
                words = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise RuntimeError(f"{name} does not start: {' '.join(words[-2:])}")
            time.sleep(0.02)
        return f"unix:{path}"

    def checks(self, mode):
        milters = " ".join(self.milters)
        more = "smtpd_peername_lookup = yes\n" if mode == "mx" else ""
        return f"{more}smtpd_milters = {milters}\nmilter_default_action = tempfail\n"


def listens(path):
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(path))
        except OSError:
            return False
    return True


class PostfixOpenDkim(PostfixWithPrograms):
    name, title, modes = "postfix-opendkim", "Postfix, OpenDKIM and others", ("mx", "outbound")
    settings = ("as Postfix, with OpenDKIM as a milter, and to check also policyd-spf (Python) as a policy service, which keeps a process for each smtpd, and OpenDMARC "
                "as a second milter; a name of each client is looked up (`smtpd_peername_lookup`); no logging of the milters; to sign, OpenDKIM with Debian's "
                "`Canonicalization relaxed/simple` and `OversignHeaders From`")
    DEBIAN = ("opendkim", "libopendkim11", "libmilter1.0.1", "libmemcached11", "libhashkit2", "libopendbx1", "librbl1", "libvbr2", "liblua5.3-0", "libldap-2.5-0",
              "opendmarc", "libopendmarc2", "libbsd0", "libspf2-2", "publicsuffix", "postfix-policyd-spf-python", "python3-spf-engine", "python3-spf",
              "python3-authres", "python3-dnspython")
    NAMED = ("opendkim", "opendmarc", "postfix-policyd-spf-python")
    DKIM = f"""Background no
Syslog no
UMask 000
Nameservers {RESOLVER}
"""
    VERIFY = f"Mode v\nAuthservID {RECEIVER}\n"
    SIGN = "Mode s\nDomain {domain}\nSelector {selector}\nKeyFile {key}\nCanonicalization relaxed/simple\nOversignHeaders From\nRequireSafeKeys no\n"
    DMARC = f"""Background false
Syslog false
UMask 000
AuthservID {RECEIVER}
TrustedAuthservIDs {RECEIVER}
RejectFailures true
PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat
"""
    SPF = f"""debugLevel = 0
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
skip_addresses = 127.0.0.0/8,::ffff:127.0.0.0/104,::1
Header_Type = AR
Authserv_Id = {RECEIVER}
"""

    def start(self, mode, to=None):
        settings = self.DKIM + (self.VERIFY if mode == "mx" else self.SIGN.format(domain=OWN_DOMAIN, selector=SELECTOR, key=self.key.file))
        self.milters = [self.start_milter("opendkim", settings)]
        if mode == "mx":
            self.milters.append(self.start_milter("opendmarc", self.DMARC))
            (self.folder / "policyd-spf.conf").write_text(self.SPF)
            self.services = f"policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {self.folder}/policyd-spf.conf\n"
        super().start(mode, to)

    def start_milter(self, name, settings):
        path = self.folder / f"{name}.conf"
        path.write_text(f"{settings}Socket local:{self.folder}/{name}.sock\n")
        return self.start_program(name, f"/usr/sbin/{name}", "-f", "-x" if name == "opendkim" else "-c", path)

    def checks(self, mode):
        policy = ("smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf\npolicyd-spf_time_limit = 3600\n" if mode == "mx" else "")
        return super().checks(mode) + policy


class PostfixRspamd(PostfixWithPrograms):
    name, title, modes = "postfix-rspamd", "Postfix, rspamd", ("mx", "outbound")
    settings = ("as Postfix, with rspamd as a milter that scans by itself (`self_scan`), in two processes, with a short list of top-level domains; of its modules only SPF, DKIM, DMARC and Authentication-Results, "
                "or to sign only dkim_signing; a name of each client is looked up (`smtpd_peername_lookup`)")
    DEBIAN = ("rspamd", "libhyperscan5", "libluajit2-5.1-2", "libluajit-5.1-common", "libluajit2-5.1-common", "libsodium23", "libunwind8")
    NAMED = ("rspamd",)

    def start(self, mode, to=None):
        self.users = {**Postfix.users, "_rspamd": 7006}
        (self.folder / "rspamd").mkdir()
        shutil.chown(self.folder / "rspamd", 7006, 7006)
        shutil.copyfile(self.key.file, self.folder / "own.pem")
        (self.folder / "top_level_domains").write_text("example\ntest\n")  # Debian's list takes half a minute to compile
        (self.folder / "rspamd.conf").write_text(self.configuration(mode))
        self.milters = [self.start_program("rspamd", "/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", self.folder / "rspamd.conf")]
        super().start(mode, to)

    def configuration(self, mode):
        plugins = ("spf", "dmarc", "milter_headers") if mode == "mx" else ("dkim_signing",)
        paths = " ".join(f'path = "/usr/share/rspamd/plugins/{name}.lua";' for name in plugins)
        return f"""options {{
  filters = "dkim";
  tempdir = "{self.folder}/rspamd";
  pidfile = "{self.folder}/rspamd/pid";
  hs_cache_dir = "{self.folder}/rspamd";
  url_tld = "{self.folder}/top_level_domains";
  dns {{ nameserver = ["{RESOLVER}"]; }}
}}
logging {{ type = "file"; filename = "{self.folder}/rspamd/log"; level = "error"; }}
worker "rspamd_proxy" {{
  bind_socket = "{self.folder}/rspamd.sock mode=0666";
  milter = yes;
  timeout = 120s;
  count = 2;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
actions {{ reject = 15; }}
modules {{ {paths} }}
spf {{ }}
dkim {{ }}
dmarc {{ }}
milter_headers {{ use = ["authentication-results"]; routines {{ authentication-results {{ hostname = "{RECEIVER}"; }} }} }}
dkim_signing {{
  sign_local = true;
  use_esld = false;
  check_pubkey = false;
  domain {{ {OWN_DOMAIN} {{ path = "{self.folder}/own.pem"; selector = "{SELECTOR}"; }} }}
}}
"""


TRUST_SERVERS = (OurServerChecking, OurServerSigning, PostfixOpenDkim, PostfixRspamd)
WITHOUT = {"mailboat-checking": "mailboat", "mailboat-signing": "mailboat", "postfix-opendkim": "postfix", "postfix-rspamd": "postfix"}


def fetch_packages(names):
    """Fetches what these servers and their DNS need and is not there: their network reaches nothing."""
    postfix_folder()
    unbound_folder()
    for kind in TRUST_SERVERS:
        if kind.name in names and issubclass(kind, PostfixWithPrograms):
            kind.fetch()
