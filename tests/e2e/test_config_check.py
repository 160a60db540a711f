# SPDX-License-Identifier: Apache-2.0
"""Problems that `config check` and a reload find before anything changes: the certificate and its key, names,
ports."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

from mailboat import EC, PROGRAM, ROOT, RSA, Mailboat, make_certificate, make_certificates, run, until


@pytest.fixture
def stopped(tmp_path, certificates):
    """A configuration with its own certificates; the server is not running."""
    own = tmp_path / "tls"
    shutil.copytree(certificates, own)
    own.chmod(0o755)
    server = Mailboat(tmp_path / "server", own)
    server.write_config()
    yield server
    server.stop()


def check(server):
    return server.cli("config", "check", check=False)


def other_key(server):
    make_certificate(server.certificates, server.certificates, "other", "localhost")
    shutil.copy(server.certificates / "other.key", server.certificates / "server.key")


def no_key(server):
    (server.certificates / "server.key").write_text("nothing\n")


def empty_key(server):
    (server.certificates / "server.key").write_text("")


def wrong_order(server):
    file = server.certificates / "server.pem"
    file.write_text((server.certificates / "ca.pem").read_text() + file.read_text())


def encrypted(server):
    key = server.certificates / "server.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", key.with_suffix(".new")], check=True)
    key.with_suffix(".new").replace(key)


def other_kind(server):
    subprocess.run(["openssl", "genrsa", "-out", server.certificates / "server.key", "2048"], check=True, capture_output=True)


def swapped(server):
    pem, key = server.certificates / "server.pem", server.certificates / "server.key"
    both = pem.read_text(), key.read_text()
    key.write_text(both[0]), pem.write_text(both[1])


def missing(server):
    (server.certificates / "server.key").unlink()


def with_mark(server):
    """Saved by an editor of Windows: OpenSSL would take the second certificate of the chain for the first."""
    file = server.certificates / "server.pem"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes() + (server.certificates / "ca.pem").read_bytes())


def utf16(server):
    file = server.certificates / "server.pem"
    file.write_text(file.read_text(), encoding="utf-16")


def binary(server):
    file = server.certificates / "server.pem"
    file.write_bytes(ssl.PEM_cert_to_DER_cert(file.read_text()))


def binary_key(server):
    key = server.certificates / "server.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-outform", "DER", "-out", key.with_suffix(".new")], check=True)
    key.with_suffix(".new").replace(key)


def short_binary_key(server):
    key = server.certificates / "server.key"
    subprocess.run(["openssl", "ec", "-in", key, "-outform", "DER", "-out", key.with_suffix(".new")], check=True, capture_output=True)
    key.with_suffix(".new").replace(key)


def edited(what, change):
    """Changes the text of a file as a person or a tool would."""
    def break_it(server):
        file = server.certificates / f"server.{what}"
        file.write_text(change(file.read_text(), server.certificates), newline="")
    return break_it


def request(server):
    folder = server.certificates
    subprocess.run(["openssl", "req", "-new", "-key", folder / "server.key", "-subj", "/CN=a", "-out", folder / "server.pem"], check=True, capture_output=True)


def bundle(server):
    folder = server.certificates
    subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", folder / "ca.pem", "-out", folder / "server.pem"], check=True, capture_output=True)


def public_key(server):
    key = server.certificates / "server.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", key.with_suffix(".new")], check=True)
    key.with_suffix(".new").replace(key)


def ssh_key(server):
    key = server.certificates / "server.key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=\n-----END OPENSSH PRIVATE KEY-----\n")


FORMS = {
    "joined": ("pem", lambda text, folder: text.rstrip("\n") + (folder / "ca.pem").read_text(), "has two blocks joined on one line; put a line break between"),
    "indented": ("pem", lambda text, folder: "".join("    " + line for line in text.splitlines(True)), "remove the indentation"),
    "first indented": ("pem", lambda text, folder: "  " + text + (folder / "ca.pem").read_text(), "(line 1) has spaces before -----BEGIN"),
    "escaped": ("pem", lambda text, folder: text.replace("\n", "\\n"), "has \\n in place of line breaks"),
    "quoted": ("pem", lambda text, folder: f'"{text}"', "remove the quotation marks"),
    "old mac": ("pem", lambda text, folder: text.replace("\n", "\r"), "has CR alone as line ends"),
    "empty": ("pem", lambda text, folder: "\n", "is empty"),
    "no block": ("pem", lambda text, folder: "see the other file\n", "has no PEM block"),
    "cut": ("pem", lambda text, folder: text[:300], "has a block without its end"),
    "cut, then another": ("pem", lambda text, folder: text[:300] + "\n" + (folder / "ca.pem").read_text(), "(line 1) has a block without its end"),
    "damaged": ("pem", lambda text, folder: text.replace("MII", "M!I", 1), "(line 2) is damaged: this is not Base64"),
    "damaged within": ("pem", lambda text, folder: text.replace("MII", "MIA", 1), "is damaged: a block in it is not a certificate"),
    "key joined": ("key", lambda text, folder: text[:-1] + text, "has two blocks joined on one line"),
    "key escaped": ("key", lambda text, folder: text.replace("\n", "\\n"), "has \\n in place of line breaks"),
    "key cut": ("key", lambda text, folder: text[:80], "has a block without its end"),
    "key damaged": ("key", lambda text, folder: text.replace("M", "P"), "is damaged, or of a kind"),
}


@pytest.mark.parametrize("break_it, words", [(edited(what, change), words) for what, change, words in FORMS.values()] + [
    (request, "a request for a certificate (CSR)"), (bundle, "openssl pkcs7 -print_certs"), (public_key, "holds a public key"), (ssh_key, "a key of OpenSSH"),
    (with_mark, "begins with a byte order mark; save it without one"), (utf16, "is UTF-16 text"), (binary, "the TLS certificate"), (binary, "convert it to PEM"),
    (binary_key, "convert it to PEM"), (short_binary_key, "convert it to PEM"),
    (other_key, "does not belong to"), (other_kind, "does not belong to"), (wrong_order, "own certificate first"), (encrypted, "is encrypted"),
    (no_key, "has no PEM block"), (empty_key, "is empty"), (swapped, "holds a private key; were certificate and key swapped?"), (missing, "server.key")])
def test_a_pair_that_cannot_work(stopped, break_it, words):
    """`config check` and `serve` print the same error, with the same exit code, and neither asks for a passphrase."""
    break_it(stopped)
    done = check(stopped)
    assert done.returncode == 78 and words in done.stderr and "fine" not in done.stdout, done
    started = run("serve", "--config", stopped.config, check=False, timeout=30)
    assert started.returncode == 78 and words in started.stderr


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "sec1", "crlf", "preamble"])
def test_forms_that_work(stopped, kind):
    pem, key = stopped.certificates / "server.pem", stopped.certificates / "server.key"
    if kind in ("rsa", "ed25519"):
        make_certificate(stopped.certificates, stopped.certificates, "server", "mx.example.org", "127.0.0.1",
                         kind=RSA if kind == "rsa" else ("-newkey", "ed25519", "-nodes"))
    elif kind == "sec1":
        subprocess.run(["openssl", "ec", "-in", key, "-out", key.with_suffix(".new")], check=True, capture_output=True)
        key.with_suffix(".new").replace(key)
    elif kind == "crlf":
        for file in (pem, key):
            file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    else:
        pem.write_text("0 s:CN = mx.example.org\n   i:CN = Test CA\n" + pem.read_text().rstrip("\n"))
    stopped.start()
    assert check(stopped).returncode == 0
    assert "BEGIN CERTIFICATE" in ssl.get_server_certificate(("127.0.0.1", stopped.ports[465]))


@pytest.mark.parametrize("break_it", [other_key, encrypted, missing])
def test_a_reload_that_cannot_work_changes_nothing_and_says_so(stopped, break_it):
    stopped.start()
    before = stopped.processes()
    served = ssl.get_server_certificate(("127.0.0.1", stopped.ports[465]))
    break_it(stopped)
    done = stopped.cli("reload", check=False)
    assert done.returncode == 78 and done.stderr.count("\n") == 1 and "server.key" in done.stderr, done
    stopped.process.send_signal(signal.SIGHUP)
    stopped.wait_log("reload_failed", "server.key")
    assert stopped.processes() == before
    assert ssl.get_server_certificate(("127.0.0.1", stopped.ports[465])) == served


def test_a_reload_waits_until_the_new_is_in_effect(stopped, tmp_path):
    stopped.start()
    served = ssl.get_server_certificate(("127.0.0.1", stopped.ports[465]))
    (tmp_path / "tls2").mkdir()
    stopped.certificates = make_certificates(tmp_path / "tls2")
    stopped.write_config()
    assert stopped.cli("reload").stdout == f"{stopped.config}: reloaded\n"
    assert ssl.get_server_certificate(("127.0.0.1", stopped.ports[465])) != served


def test_many_reloads_at_once_all_get_an_answer(stopped):
    stopped.start()
    calls = [subprocess.Popen([PROGRAM, "reload", "--config", stopped.config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(12)]
    for call in calls:
        out, err = call.communicate(timeout=60)
        assert (call.returncode, err) == (0, ""), err
    # a client that disconnects early is harmless
    for _ in range(40):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(stopped.data / "reload.sock"))
    assert stopped.cli("reload", check=False).returncode in (0, 75)
    until(lambda: stopped.cli("reload", check=False).returncode == 0)


def test_a_reload_without_a_server(stopped):
    done = stopped.cli("reload", check=False)
    assert done.returncode == 69 and "no server is running" in done.stderr
    stopped.config.write_text(stopped.config.read_text() + "nonsense: 1\n")
    assert stopped.cli("reload", check=False).returncode == 78


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's reload needs another user")
def test_another_user_cannot_reload(stopped):
    stopped.start()
    (stopped.certificates / "server.key").chmod(0o644)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", PROGRAM, "reload", "--config", stopped.config],
                          capture_output=True, text=True)
    assert done.returncode == 77, done
    assert not stopped.lines("reloaded") and not stopped.lines("reloading")


def make(server, *names, **options):
    make_certificate(server.certificates, server.certificates, "server", *names, kind=EC, **options)
    (server.certificates / "server.key").chmod(0o600)


@pytest.mark.parametrize("names, options, words", [
    (["elsewhere.example"], {}, ["is for another name than the hostname", "mx.example.org"]),
    (["mx.example.org"], {"expired": True}, ["has expired", "reload"]),
    (["mx.example.org"], {"self_signed": True}, ["is self-signed"]),
    (["mx.example.org"], {}, ["neither sent with it nor trusted", "fullchain.pem"])])
def test_what_clients_will_see_is_a_warning(stopped, names, options, words):
    make(stopped, *names, **options)
    done = check(stopped)
    assert done.returncode == 0 and not done.stdout.endswith("fine\n") and "warning" in done.stdout
    for word in words:
        assert word in done.stderr, done.stderr
    stopped.start()
    assert stopped.lines("certificate_warning", words[0])


def test_a_key_that_all_users_can_read_is_named(stopped):
    (stopped.certificates / "server.key").chmod(0o644)
    assert "every user of this machine can read the key" in check(stopped).stderr
    (stopped.certificates / "server.key").chmod(0o640)
    assert "can read the key" not in check(stopped).stderr


def test_a_hostname_without_a_dot(stopped):
    stopped.config.write_text(stopped.config.read_text().replace("hostname: mx.example.org", "hostname: mx"))
    done = check(stopped)
    assert done.returncode == 0 and "hostname: 'mx' has no dot" in done.stderr


def test_who_holds_a_port(stopped):
    with socket.create_server(("127.0.0.1", stopped.ports[25])):
        done = check(stopped)
        assert done.returncode == 69 and f"port {stopped.ports[25]} on 127.0.0.1 is already in use by" in done.stderr, done
        if os.geteuid() == 0:
            assert f"(process {os.getpid()})" in done.stderr
    assert check(stopped).returncode == 0
    stopped.start()
    assert check(stopped).returncode == 0  # its own server is bound to them


def test_another_mailboat_s_port(stopped, tmp_path, certificates):
    other = Mailboat(tmp_path / "other", certificates)
    other.ports = stopped.ports
    other.start()
    try:
        done = check(stopped)
        assert done.returncode == 69 and "already in use by mailboat" in done.stderr, done
    finally:
        other.stop()


# ---- the certificate of a port ----

def doctor(server):
    """Returns doctor's items about this server; the outgoing ports are tried with a local port."""
    done = server.cli("doctor", "--target", f"127.0.0.1:{server.ports[25]}", "--ca-file", server.ca, "--json", check=False)
    return [(item["what"], item["status"], item["words"]) for item in json.loads(done.stdout)["server"]]


def found(server, what, word):
    return [item for item in doctor(server) if item[0] == what and word in item[2]]


def test_doctor_looks_at_what_the_port_serves(stopped):
    stopped.extra = f"relay: {{ca_file: {stopped.ca}}}\n"
    stopped.start()
    assert found(stopped, "certificate", "is valid for 29 more days") and not found(stopped, "certificate", "is not the one")
    make_certificate(stopped.certificates, stopped.certificates, "server", "mx.example.org", expired=True)
    # the certificate in the file has expired; the port still serves the previous one
    assert [item[1] for item in found(stopped, "certificate", "is not the one in")] == ["fail"]
    assert not found(stopped, "certificate", "has expired")
    stopped.cli("reload")
    assert [item[1] for item in found(stopped, "certificate", "has expired")] == ["fail"]
    assert not found(stopped, "certificate", "is not the one in")
    make_certificate(stopped.certificates, stopped.certificates, "server", "mx.example.org", early=True)
    early = "is not valid yet: it begins at 2099-01-01 00:00, and this machine's clock says 20"
    done = stopped.cli("config", "check", check=False)
    assert early in done.stdout + done.stderr and "if the clock is wrong, set it" in done.stdout + done.stderr
    stopped.cli("reload")
    assert [item[1] for item in found(stopped, "certificate", early)] == ["fail"]


def test_doctor_names_a_key_of_another_certificate(stopped):
    stopped.start()
    other_key(stopped)
    assert [item[1] for item in found(stopped, "key", "does not belong to")] == ["fail"]


# ---- certbot ----

HOOK = ROOT / "packaging" / "certbot-deploy-hook"


@pytest.fixture
def lineage(stopped, tmp_path):
    """Makes the files that certbot has renewed; returns the call of the deploy hook."""
    folder = tmp_path / "live"
    folder.mkdir()
    make_certificate(stopped.certificates, folder, "x", "mx.example.org")
    (folder / "x.pem").rename(folder / "fullchain.pem")
    (folder / "x.key").rename(folder / "privkey.pem")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mailboat").symlink_to(PROGRAM)

    def deploy(domains="mx.example.org", copies=stopped.certificates):
        return subprocess.run([HOOK], capture_output=True, text=True, env={
            **os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "MAILBOAT_CONFIG": str(stopped.config), "MAILBOAT_COPIES": str(copies),
            "RENEWED_LINEAGE": str(folder), "RENEWED_DOMAINS": domains})
    deploy.folder = folder
    return deploy


def serves(server, file):
    return ssl.get_server_certificate(("127.0.0.1", server.ports[465])).strip() == file.read_text().strip()


def test_the_deploy_hook_copies_and_reloads(stopped, lineage):
    before = (stopped.certificates / "server.key").read_bytes()
    for nothing, words in ((lineage("elsewhere.example"), "is not for mx.example.org"), (lineage(copies="/nowhere"), "nor below /nowhere")):
        assert nothing.returncode == 0 and words in nothing.stdout, nothing
    assert (stopped.certificates / "server.key").read_bytes() == before
    stopped.start()
    done = lineage("other.example mx.example.org")
    assert done.returncode == 0 and serves(stopped, lineage.folder / "fullchain.pem"), done
    assert (stopped.certificates / "server.key").stat().st_mode & 0o777 == 0o600


def test_the_deploy_hook_reloads_a_server_that_uses_certbot_s_files(stopped, lineage):
    stopped.start()
    stopped.config.write_text(stopped.config.read_text().replace(f"{stopped.certificates}/server.pem", f"{lineage.folder}/fullchain.pem")
                              .replace(f"{stopped.certificates}/server.key", f"{lineage.folder}/privkey.pem"))
    assert lineage().returncode == 0 and serves(stopped, lineage.folder / "fullchain.pem")
    (lineage.folder / "privkey.pem").write_text("broken\n")
    assert lineage().returncode == 78 and serves(stopped, lineage.folder / "fullchain.pem")


def test_the_deploy_hook_fails_where_the_configuration_cannot_be_read(stopped, lineage):
    """certbot reports it: otherwise the previous certificate would be served until it has expired."""
    before = (stopped.certificates / "server.pem").read_text()
    stopped.config.write_text(stopped.config.read_text() + "nonsense: 1\n")
    done = lineage()
    assert done.returncode == 78 and "nonsense" in done.stderr and (stopped.certificates / "server.pem").read_text() == before


def test_the_deploy_hook_without_a_server(stopped, lineage):
    assert lineage().returncode == 0 and (stopped.certificates / "server.pem").read_text() == (lineage.folder / "fullchain.pem").read_text()


# ---- capabilities ----

def lacking(*names):
    sets = "-all" if names == ("all",) else ",".join(f"-{name}" for name in names)
    return ["setpriv", f"--bounding-set={sets}", f"--inh-caps={sets}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
@pytest.mark.parametrize("names, words", [
    (["all"], "lacks the capabilities CAP_CHOWN, CAP_SETUID, CAP_SETGID; give them"), (["setuid"], "lacks the capability CAP_SETUID; give it"),
    (["setgid"], "CAP_SETGID"), (["chown"], "CAP_CHOWN"), (["setuid", "setgid"], "CAP_SETUID, CAP_SETGID")])
def test_a_missing_capability_is_named(stopped, names, words):
    for command in (("serve",), ("config", "check")):
        done = subprocess.run([*lacking(*names), PROGRAM, *command, "--config", stopped.config], capture_output=True, text=True, timeout=30)
        assert done.returncode == 77 and words in done.stderr, done
        assert done.stderr.count("lacks the") == 1
    assert not stopped.data.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_a_low_port_needs_a_capability(stopped):
    text = stopped.config.read_text().replace(str(stopped.ports[25]), "999")
    stopped.config.write_text(text)
    done = subprocess.run([*lacking("net_bind_service"), PROGRAM, "serve", "--config", stopped.config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 77 and "lacks the capability CAP_NET_BIND_SERVICE" in done.stderr, done


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
@pytest.mark.parametrize("names", [["kill"], ["sys_chroot"], ["dac_override", "fowner", "sys_resource", "setpcap", "net_bind_service", "kill", "sys_chroot"]])
def test_it_works_with_fewer_capabilities(stopped, names):
    """The log names the missing ones."""
    stopped.wrapper = lacking(*names)
    stopped.start()
    for name in {"kill", "sys_chroot"} & set(names):
        assert stopped.lines("capability_missing", f"CAP_{name.upper()}")
