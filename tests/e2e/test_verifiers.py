# SPDX-License-Identifier: Apache-2.0
"""What this server signs (DKIM) and seals (ARC) is verified by programs of other projects, after it went through
Postfix, through Exim, and to a server without 8BITMIME. The verifiers ask a DNS of the test; each is called once
for all messages. docs/trust.md has the table."""
import os
import re
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailboat import ROOT, until
from name_server import NameServer
from networks import networks
from peers import Exim, Postfix, bound_users, exim_program, npm_unpacked, unpacked
from plain_peer import Peer
from test_encodings import letter as eight_bit
from test_encodings import mixed
from test_sealing import ANNE, RECORDS, Forwarder, txt
from test_signing import EIGHT, LONG, MODERN, PASSWORD, Keys, reload, simple, submit

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

ADA, DOMAIN, HERE = "ada@example.test", "example.test", Path(__file__).parent / "verifiers"
WAYS = {"P": "through Postfix", "E": "through Exim", "7": "to a server without 8BITMIME"}


def encoded(subject, cte):
    message = EmailMessage(policy=EIGHT)
    message["From"], message["To"], message["Subject"], message["Date"] = ADA, "bob@there.net", subject, "Mon, 23 Nov 2026 12:00:00 +0000"
    message.set_content("Grüße aus Köln = \t\n" * 30 + "\n.\n", cte=cte)
    return message.as_bytes(policy=EIGHT)


WIDE = ("From: Ada Lövelace <ada@example.test>\r\nTo: bob@there.net\r\nSubject: Grüße über  die Hügel\r\n"
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nüber die Hügel\r\n").encode()
SPACED = (b"From:  Ada\r\n\t<ada@example.test> \r\nTo: bob@there.net,\r\n eve@there.net\r\nSubject:\thills   and \t valleys\t\r\n"
          b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n  two  blanks \t\r\n\r\n \r\n.dot\r\n\tend\t\r\n")
UTF8 = ["SMTPUTF8", "BODY=8BITMIME"]
FORMS = {  # the content, the parameters of MAIL
    "ASCII": (simple("ascii"), []),
    "8-bit text": (eight_bit().as_bytes(policy=EIGHT), ["BODY=8BITMIME"]),
    "UTF-8 in header fields (SMTPUTF8)": (WIDE, UTF8),
    "lines over 998 bytes": (LONG, []),
    "bare newlines": (simple("bare")[:-2].replace(b"\r\n", b"\n") + b"\r\n", []),
    "quoted-printable": (encoded("quoted", "quoted-printable"), []),
    "base64": (encoded("base64", "base64"), []),
    "parts with attachments, 8-bit": (mixed().as_bytes(policy=EIGHT), ["BODY=8BITMIME"]),
    "List-Unsubscribe": (simple("list", List_Unsubscribe="<https://example.test/u>", List_Unsubscribe_Post="List-Unsubscribe=One-Click"), []),
    "no body": (simple("no body").split(b"\r\n\r\n")[0] + b"\r\n\r\n", []),
    "blank lines at the end": (simple("blank", body="hello\n\n\n \n\n"), []),
    "folds, tabs, blanks, dots": (SPACED, []),
    "1 MB": (simple("large", body="a line of it  with  blanks \n" * 40000), []),
}
SEALED = ["ASCII", "8-bit text", "lines over 998 bytes", "parts with attachments, 8-bit", "no body"]


# ---- the verifiers: each gets a kind (dkim, arc) and files, and returns a result per file ----

def lines_of(net, *command, **options):
    done = net.run(*command, where=net.client, timeout=120, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def by_dkimpy(net, folder, kind, files):
    return lines_of(net, "/usr/bin/python3", HERE / "dkimpy.py", kind, *files)


def by_mail_dkim(net, folder, kind, files):
    return lines_of(net, "perl", HERE / "mail_dkim.pl", kind, *files)


def by_node(program, *packages):
    def verify(net, folder, kind, files):
        root = npm_unpacked("verifiers-" + program, *packages)
        if root is None:
            pytest.skip("the npm registry is out of reach")
        return lines_of(net, "node", HERE / f"{program}.js", kind, *files, env={**os.environ, "NODE_PATH": str(root / "node_modules")})
    return verify


def by_each(net, files, test, **options):
    """For programs that verify a single message; `test` is a command of the shell that reads it, and succeeds if it passes."""
    return lines_of(net, "sh", "-c", f'for file; do if {test}; then echo pass; else echo fail; fi; done', "sh", *files, **options)


def by_opendkim(net, folder, kind, files):
    root = fetched("opendkim", "opendkim-tools", "libopendkim11")
    return by_each(net, files, f'{root}/usr/sbin/opendkim-testmsg < "$file"',
                   env={**os.environ, "LD_LIBRARY_PATH": str(root / "usr/lib/x86_64-linux-gnu")})


def by_go_msgauth(net, folder, kind, files):
    root = fetched("go-msgauth", "go-msgauth")
    return by_each(net, files, f'{root}/usr/bin/dkim-verify < "$file" 2>&1 | grep -q "Valid signature for example.test"')


EXIM = """exim_path = {program}
spool_directory = {folder}
log_file_path = {folder}/%slog
primary_hostname = verifier.test
host_lookup =
smtp_enforce_sync = false
acl_smtp_rcpt = take
acl_smtp_dkim = note
acl_smtp_data = tell
begin acl
take:
  accept
note:
  accept set acl_m_found = $acl_m_found $dkim_verify_status
tell:
  deny message = dkim:$acl_m_found
"""


def by_exim(net, folder, kind, files):
    """In a session that is not one of the network (-bh); the reply to each message has the result."""
    fetched("exim", "exim4-daemon-light")
    folder.mkdir()
    program = exim_program(folder)
    (folder / "exim.conf").write_text(EXIM.format(program=program, folder=folder))
    os.chown(folder, Exim.USER, Exim.USER)
    dotted = [re.sub(rb"(?m)^\.", b"..", file.read_bytes()) for file in files]
    said = b"EHLO x.test\r\n" + b"".join(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@verifier.test>\r\nDATA\r\n" + text + b".\r\n" for text in dotted) + b"QUIT\r\n"
    (folder / "session").write_bytes(said)
    script = f"{bound_users(folder, {'Debian-exim': Exim.USER})} && exec {program} -C {folder}/exim.conf -bh 192.0.2.9 < {folder}/session"
    done = net.run("unshare", "-m", "--propagation", "private", "sh", "-c", script, where=net.client, timeout=120)
    return [line.partition("dkim: ")[2].strip() for line in done.stdout.splitlines() if line.startswith("550 dkim:")]


RSPAMD = """options {{ filters = ["dkim"]; pidfile = "{folder}/pid"; url_tld = "{folder}/tlds";
  dns {{ nameserver = ["192.0.2.2:53"]; timeout = 5s; retransmits = 5; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "info"; }}
metric {{ name = "default"; actions {{ reject = 1000; }} unknown_weight = 1; }}
worker {{ type = "normal"; bind_socket = "127.0.0.1:11333"; count = 1; task_timeout = 60s; }}
dkim {{ trusted_only = false; skip_multi = false; }}
"""
ASK_RSPAMD = """import json, sys, urllib.request
for name in sys.argv[1:]:
    request = urllib.request.Request("http://127.0.0.1:11333/checkv2", open(name, "rb").read(), {"IP": "192.0.2.9"})
    found = sorted(symbol for symbol in json.load(urllib.request.urlopen(request, timeout=60))["symbols"] if symbol.startswith("R_DKIM"))
    print("pass" if found == ["R_DKIM_ALLOW"] else found)
"""


def by_rspamd(net, folder, kind, files):
    root = fetched("rspamd", "rspamd", "libhyperscan5", "libluajit-5.1-2", "libsodium23", "libunwind8")
    folder.mkdir()
    (folder / "rspamd.conf").write_text(RSPAMD.format(folder=folder))
    (folder / "tlds").write_text("test\n")  # the usual list takes half a minute to be compiled
    share = root / "usr/share/rspamd"
    libraries = f"{root}/usr/lib/rspamd:{root}/usr/lib/x86_64-linux-gnu"
    places = {"SHAREDIR": share, "LUALIBDIR": share / "lualib", "RULESDIR": share / "rules", "DBDIR": folder, "RUNDIR": folder, "LOGDIR": folder}
    server = net.start(net.client, root / "usr/bin/rspamd", "-f", "-i", "-c", folder / "rspamd.conf", *(f"--var={name}={at}" for name, at in places.items()),
                       env={**os.environ, "LD_LIBRARY_PATH": libraries, **{name: str(at) for name, at in places.items()}})
    net.wait_port(11333, where=net.client, address="127.0.0.1")
    found = lines_of(net, sys.executable, "-c", ASK_RSPAMD, *files)
    server.terminate()
    server.wait()
    return found


def fetched(name, *packages):
    try:
        return unpacked(name, *packages)
    except subprocess.CalledProcessError as failed:
        pytest.skip(f"{packages[0]} cannot be fetched: {failed}")


VERIFIERS = {"dkimpy": by_dkimpy, "Mail::DKIM": by_mail_dkim, "OpenDKIM": by_opendkim, "rspamd": by_rspamd, "Exim": by_exim,
             "mailauth": by_node("mailauth", "mailauth@4"), "Haraka": by_node("haraka", "haraka-plugin-dkim@1"),
             "dkim (npm)": by_node("dkim", "dkim@0.8"), "go-msgauth": by_go_msgauth}
# RFC 6376 3.4.4: a relaxed body that is empty is hashed as no octets; Haraka's plugin 1.3 hashes an empty line.
WRONG = {("Haraka", "no body")}
ARC = ["dkimpy", "Mail::DKIM", "mailauth"]


# ---- the messages ----

class Sender(Forwarder):
    host = f"mx.{DOMAIN}"


@pytest.fixture(scope="module")
def place(tmp_path_factory, certificates):
    """The messages as they arrived: files by (form, way) in `signed` and `sealed`; and the host of the verifiers."""
    folder = tmp_path_factory.mktemp("verifiers")
    sinks = {way: Peer() for way in WAYS}
    for way, sink in sinks.items():
        sink.knows = ["PIPELINING"] if way == "7" else list(MODERN)
    running, names = [], NameServer(folder, RECORDS)
    try:
        postfix = Postfix(folder / "postfix", "elsewhere.test", certificates, null_client=f"relayhost = [127.0.0.1]:{sinks['P'].port}\n")
        running.append(postfix)
        exim = Exim(folder / "exim", "elsewhere.test", certificates, relay_to=sinks["E"].port)
        running.append(exim)
        routes = "".join(f"    - {{domain: {way.lower()}.there.net, host: localhost, port: {port}}}\n"
                         for way, port in (("P", postfix.port), ("E", exim.port), ("7", sinks["7"].port)))
        server = Sender(folder / "server", certificates, domains=(DOMAIN,), relay=f"relay:\n  routes:\n{routes}", trust="",
                        extra=names.resolver + "submission: {fix_bare_newlines: true}\n")
        running.append(server)
        server.start()
        server.add_user(ADA, PASSWORD)
        server.keys = Keys(server).add(DOMAIN)
        reload(server)
        server.cli("alias", "add", f"team@{DOMAIN}", *(f"bob@{way.lower()}.there.net" for way in WAYS))
        with networks(folder / "net") as net:
            net.change_zone(f"$ORIGIN {DOMAIN}.\n$TTL 60\n@ IN SOA ns root 1 60 60 60 60\n@ IN NS ns\nns IN A 192.0.2.2\n"
                            + txt("one._domainkey", server.keys.text(f"one._domainkey.{DOMAIN}")) + "\n")
            net.folder_of_messages = folder
            net.signed = sent(server, sinks, folder / "signed", FORMS, submit_form)
            net.sealed = sent(server, sinks, folder / "sealed", SEALED, forward_form)
            yield net
    finally:
        for one in reversed(running):
            one.stop()
        names.stop()
        for sink in sinks.values():
            sink.close()


def ways_of(form):
    """RFC 6531 3.2: a server without SMTPUTF8 gets no UTF-8 in header fields."""
    return [way for way in WAYS if way != "7" or "UTF-8" not in form]


def submit_form(server, form):
    content, parameters = FORMS[form]
    submit(server, content.replace(b"@example.org", b"@example.test"), [f"bob@{way.lower()}.there.net" for way in ways_of(form)], parameters, sender=ADA, user=ADA)


def forward_form(server, form):
    content, parameters = FORMS[form]
    submit(server, content.replace(b"ada@example.org", ANNE.encode()), [f"team@{DOMAIN}"], parameters, sender=ANNE, port=25, user=None)


def sent(server, sinks, folder, forms, send):
    """Sends a message of each form; returns the files of what arrived, by form and way."""
    folder.mkdir()
    files = {}
    for i, form in enumerate(forms):
        for sink in sinks.values():
            sink.letters.clear()
        send(server, form)
        for way in ways_of(form):
            until(lambda: sinks[way].letters)
            (_, content), = sinks[way].letters
            files[form, way] = folder / f"{i}-{way}.eml"
            files[form, way].write_bytes(content)
    return files


def altered(net, files, name):
    """Returns three copies of a message: with another body, another subject, and one more From field."""
    content = files["ASCII", "P"].read_bytes()
    kinds = [content.replace(b"\r\n\r\nhello", b"\r\n\r\nhallo"), re.sub(rb"(?m)^Subject: ", b"Subject: x", content), b"From: eve@example.test\r\n" + content]
    assert content not in kinds
    places = [net.folder_of_messages / f"{name}-altered-{i}.eml" for i in range(len(kinds))]
    for place, kind in zip(places, kinds):
        place.write_bytes(kind)
    return places


def expect(net, verifier, kind, files):
    false = altered(net, files, f"{kind}-{verifier}".replace(":", ""))
    found = VERIFIERS[verifier](net, net.folder_of_messages / f"{kind}-{verifier}".replace(":", ""), kind, [*files.values(), *false])
    assert len(found) == len(files) + len(false), found
    faults = {form: result for (form, _), result in zip(files, found) if result != "pass"}
    assert set(faults) == {form for program, form in WRONG if program == verifier and kind == "dkim"}, faults
    assert "pass" not in found[len(files):], found[len(files):]


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_what_is_signed_is_verified(place, verifier):
    expect(place, verifier, "dkim", place.signed)


@pytest.mark.parametrize("verifier", ARC)
def test_what_is_sealed_is_verified(place, verifier):
    expect(place, verifier, "arc", place.sealed)


def test_the_messages_are_what_their_names_say(place):
    """So that a form that Postfix, Exim or this server makes ordinary is not counted as one of its own."""
    got = {key: file.read_bytes() for key, file in place.signed.items()}
    for (form, way), content in got.items():
        assert content.count(b"DKIM-Signature: ") == 1 and b"d=example.test" in content
        assert (b"by postfix.elsewhere.test" in content, b"by exim.elsewhere.test" in content) == (way == "P", way == "E")
        if way == "7":
            assert content.isascii()
    for way in "PE":
        assert not got["8-bit text", way].isascii() and not got["parts with attachments, 8-bit", way].isascii()
        assert "Subject: Grüße über  die Hügel\r\n".encode() in got["UTF-8 in header fields (SMTPUTF8)", way]
        assert got["blank lines at the end", way].endswith(b"hello\r\n\r\n\r\n \r\n\r\n") and got["folds, tabs, blanks, dots", way].endswith(b"\r\n\tend\t\r\n")
        assert got["no body", way].endswith(b"\r\n\r\n") and len(got["1 MB", way]) > 1_000_000


def test_the_documents_have_the_table():
    columns = list(VERIFIERS)
    table = [f"| form | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    for form in FORMS:
        cells = ["no" if (verifier, form) in WRONG else " ".join(ways_of(form)) for verifier in columns]
        table += [f"| {form} | {' | '.join(cells)} |"]
    assert "\n".join(table) in (ROOT / "docs" / "trust.md").read_text(), "\n".join(table)
