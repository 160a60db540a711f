# SPDX-License-Identifier: Apache-2.0
"""Which port works from here, and why: two hosts in network namespaces with faulty middleboxes between
them."""
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailboat import PROGRAM, make_certificate, make_certificates
from networks import networks
from peers import Exim, Postfix

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = make_certificates(tmp_path_factory.mktemp("tls"), "mail.example.test", "both.example.test", "smtp.usual.example.test", "far.example.test", "xn--bcher-kva.example.test")
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory, certificates):
    with networks(tmp_path_factory.mktemp("net")) as net:
        net.mail = net.mailboat(tmp_path_factory.mktemp("mail") / "server", certificates).start()
        net.mail.add_user("ada@example.test", "secret-of-ada")
        net.password = net.folder / "password"
        net.password.write_text("secret-of-ada\n")
        net.ca = certificates / "ca.pem"
        yield net
        net.mail.stop()


@pytest.fixture
def net(world):
    world.clear()
    yield world
    world.clear()


def middlebox(net, kind, port, *more, cert=None):
    process = net.start(net.server, sys.executable, HERE / "middleboxes.py", kind, port, *more, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def send(net, *more, host="mail.example.test", home=None):
    """Sends a message by the port that works; returns the output and the time that it took."""
    started = time.monotonic()
    done = net.cli("send", "--host", host, "--user", "ada@example.test", "--password-file", net.password, "--ca-file", net.ca,
                   "--from", "ada@example.test", "--to", "ada@example.test", "--subject", "by which port", "--body", "hello", *more,
                   home=home or net.folder / f"home{time.monotonic_ns()}")
    done.took = time.monotonic() - started
    return done


def ports(net, *targets, code=None):
    done = net.cli("ports", "--json", "--deadline", "3", "--ca-file", net.ca, *targets)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def verdicts(facts):
    return {p["port"]: p["verdict"] for p in facts[0]["ports"]}


# ---- the race ----

def test_the_first_choice_is_587(net):
    done = send(net)
    assert done.returncode == 0, done.stderr
    assert "port 587 selected" in done.stderr and done.took < 3


@pytest.mark.parametrize("blocked, winner", [([587], 2525), ([587, 2525], 465), ([587, 465], 2525), ([2525, 465], 587)])
def test_a_blocked_port_costs_a_moment(net, blocked, winner):
    net.drop(25, *blocked)
    done = send(net)
    assert done.returncode == 0, done.stderr
    assert f"port {winner} selected" in done.stderr
    assert done.took < 4  # not a minute; make bench measures the exact time


def test_a_refused_port_costs_nothing(net):
    net.refuse(587, 2525)
    done = send(net)
    assert done.returncode == 0 and "port 465 selected" in done.stderr
    assert "587: connection refused" in done.stderr


def test_order_rfc8314(net):
    assert "port 465 selected" in send(net, "--order", "rfc8314").stderr


def test_25_is_never_used_to_submit(net):
    net.drop(587, 2525, 465)
    done = send(net, "--deadline", "2")
    assert done.returncode == 69 and "no port works" in done.stderr
    assert send(net, "--port", "25").returncode == 64
    assert not net.mail.lines("accepted", "port=25 ")


def test_the_deadline_ends_it(net):
    net.drop(587, 2525, 465)
    done = send(net, "--deadline", "2")
    assert done.returncode == 69 and done.took < 4


def test_what_won_is_remembered_on_this_network(net):
    home = net.folder / "remembers"
    net.drop(587)
    assert "587: no answer" in send(net, home=home).stderr
    again = send(net, home=home)
    assert "port 2525 selected: it worked last time on this network, and it works" in again.stderr
    fresh = send(net, "--fresh", home=home)
    assert "587: no answer" in fresh.stderr
    net.clear()
    net.drop(2525)  # the remembered port fails: the race follows immediately
    moved = send(net, home=home)
    assert moved.returncode == 0 and "port 587 selected" in moved.stderr
    assert "it worked last time" in send(net, home=home).stderr
    assert (home / ".local/state/mailboat/ports.json").stat().st_mode & 0o77 == 0


@contextmanager
def far_away(net, round_trip_ms, lost_percent):
    """far.example.test is the server by a wire that loses packets."""
    wire = net.start(net.server, sys.executable, HERE / "lossy_wire.py", net.client, net.server, round_trip_ms, lost_percent,
                     stdout=subprocess.PIPE, text=True)
    assert wire.stdout.readline() == "ready\n"
    try:
        yield
    finally:
        wire.terminate()
        told = wire.stdout.read()
        wire.wait()
        print(f"{round_trip_ms} ms, {lost_percent} %: {told}")
        assert lost_percent == 0 or int(told.split()[3]) > 0, told


FAR_MESSAGES = int(os.environ.get("FAR_MESSAGES", 30))  # of each round trip


@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="the kernel has no TUN devices")
@pytest.mark.parametrize("round_trip_ms", [50, 150, 300])
def test_a_lost_packet_is_not_a_blocked_port(net, round_trip_ms):
    """587 is open: it is chosen, and nothing else is remembered, whatever is lost."""
    def one(number):
        home = net.folder / f"far-{round_trip_ms}-{number}"
        done = send(net, host="far.example.test", home=home)
        return done, (home / ".local/state/mailboat/ports.json")

    with far_away(net, round_trip_ms, 2), ThreadPoolExecutor(10) as pool:
        results = list(pool.map(one, range(FAR_MESSAGES)))
    for done, state in results:
        assert done.returncode == 0 and "port 587 selected" in done.stderr, done.stderr
        known, = json.loads(state.read_text()).values()
        assert known["port"] == 587 and round_trip_ms <= known["round_trip_ms"] < round_trip_ms + 1000


@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="the kernel has no TUN devices")
def test_a_block_is_looked_at_again(net):
    """A blocked port is passed over for half a day; then it is tried again, and used when the block is gone."""
    home = net.folder / "looked-at-again"
    file = home / ".local/state/mailboat/ports.json"

    def half_a_day_later():
        known = json.loads(file.read_text())
        for entry in known.values():
            entry["first_until"] -= 12 * 3600
        file.write_text(json.dumps(known))

    with far_away(net, 20, 0):
        net.drop(587)
        assert "587: no answer" in send(net, host="far.example.test", home=home).stderr
        assert "it worked last time" in send(net, host="far.example.test", home=home).stderr
        half_a_day_later()
        assert "587: no answer" in send(net, host="far.example.test", home=home).stderr
        assert "it worked last time" in send(net, host="far.example.test", home=home).stderr
        net.clear()
        half_a_day_later()
        assert "port 587 selected: it is the first choice" in send(net, host="far.example.test", home=home).stderr


def test_settings_know_what_send_and_ports_saw(net):
    """A blocked port is listed last, with the reason; the used one first."""
    home = net.folder / "settings"
    net.drop(587)
    net.cli("ports", "mail.example.test", "--ca-file", net.ca, "--deadline", "3", home=home)
    assert "port 2525 selected" in send(net, home=home).stderr
    lines = net.cli("settings", "ada@example.test", "--host", "mail.example.test", home=home).stdout.splitlines()
    ports = [line for line in lines if line.startswith(("Port", "  or"))]
    assert [line.split()[1].rstrip(",") for line in ports] == ["2525", "465", "587"]
    assert "worked on this network when last used" in ports[0] and "blocked on this network when last tried" in ports[2]
    text = net.cli("settings", "ada@example.test", "--host", "mail.example.test", "--for", "msmtp", home=home).stdout
    assert "port 2525" in text
    facts = json.loads(net.cli("settings", "ada@example.test", "--host", "mail.example.test", "--json", home=home).stdout)
    assert [(port["port"], port.get("blocked", False)) for port in facts["ports"]] == [(2525, False), (465, False), (587, True)]


def test_silent_ipv6_costs_little(net):
    net.nft("add rule inet mail input meta nfproto ipv6 tcp dport { 587, 2525, 465 } drop")
    done = send(net, host="both.example.test")
    assert done.returncode == 0, done.stderr
    assert done.took < 4


# ---- middleboxes ----

@pytest.mark.parametrize("kind, verdict, state", [
    ("portal", "portal", "intercepted"), ("mask", "stripped", "intercepted"), ("strip", "stripped", "intercepted"),
    ("refuse", "stripped", "intercepted"), ("decline", "starttls-refused", "open"), ("busy", "later", "open"), ("mute", "silent", "open"), ("drip", "slow", "open")])
def test_a_middlebox_on_587_is_found_out(net, kind, verdict, state):
    port = 20000 + sum(map(ord, kind))
    box = middlebox(net, kind, port, "192.0.2.2", 2525)
    net.redirect(587, port)
    facts = ports(net, "mail.example.test", code=0)
    seen = {p["port"]: p for p in facts[0]["ports"]}
    assert (seen[587]["verdict"], seen[587]["state"]) == (verdict, state), seen[587]
    assert facts[0]["use"] == 2525
    done = send(net)
    assert done.returncode == 0 and "port 2525 selected" in done.stderr, done.stderr
    box.terminate()
    heard = box.stdout.read()
    assert b"AUTH" not in heard and b"MAIL" not in heard  # never sent without TLS


@pytest.mark.parametrize("kind", ["decline", "refuse", "strip", "mask"])
def test_who_is_left_hears_quit(net, kind):
    box = middlebox(net, kind, 20200, "192.0.2.2", 25)
    net.redirect(587, 20200)
    net.drop(465, 2525)
    done = send(net, "--deadline", "2")
    assert done.returncode in (69, 75)
    assert kind != "decline" or "the server offers STARTTLS and then refuses it (454 4.7.0 TLS is not available now)" in done.stderr
    box.terminate()
    heard = box.stdout.read().split(b"\r\n")
    assert heard[-2] == b"QUIT" and heard[0].startswith(b"EHLO "), heard


@pytest.mark.parametrize("host, literal", [("192.0.2.2", b"EHLO [192.0.2.1]"), ("2001:db8::2", b"EHLO [IPv6:2001:db8::1]")])
def test_without_a_full_name_the_address_greets(net, host, literal):
    box = middlebox(net, "strip", 20300, "192.0.2.2", 25)
    net.redirect(587, 20300)
    target = f"[{host}]:587" if ":" in host else f"{host}:587"
    net.run("unshare", "-u", "sh", "-c", f"hostname box; {PROGRAM} ports --deadline 2 {target}")
    box.terminate()
    assert box.stdout.read().split(b"\r\n")[0] == literal


def test_when_only_stripped_ports_are_left_nothing_is_sent(net):
    box = middlebox(net, "mask", 20100, "192.0.2.2", 25)
    net.redirect(587, 20100)
    net.drop(465, 2525)
    done = send(net, "--deadline", "2")
    assert done.returncode == 69
    assert "STARTTLS was garbled or removed" in done.stderr
    box.terminate()
    assert b"AUTH" not in box.stdout.read()


# ---- certificates ----

@pytest.fixture(scope="module")
def wrong(world, certificates, tmp_path_factory):
    """OpenSSL's server with each bad certificate, on its own port behind 465."""
    folder = tmp_path_factory.mktemp("wrong")
    make_certificate(certificates, folder, "other", "other.example.test")
    make_certificate(certificates, folder, "expired", "mail.example.test", expired=True)
    make_certificate(certificates, folder, "self", "mail.example.test", self_signed=True)
    stranger = make_certificates(tmp_path_factory.mktemp("stranger"), "mail.example.test")
    make_certificate(stranger, folder, "stranger", "mail.example.test")
    for number, name in enumerate(("other", "expired", "self", "stranger")):
        world.start(world.server, sys.executable, "-c", TLS_SMTP, 20200 + number, folder / f"{name}.pem", folder / f"{name}.key")
        world.wait_port(20200 + number)
    return {"other": 20200, "expired": 20201, "self": 20202, "stranger": 20203}


TLS_SMTP = """
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
door = socket.create_server(("0.0.0.0", int(sys.argv[1])))
def talk(raw):
    try:
        with context.wrap_socket(raw, server_side=True) as client:
            client.sendall(b"220 there\\r\\n")
            for line in client.makefile("rb"):
                client.sendall(b"250-there\\r\\n250 AUTH PLAIN\\r\\n" if line[:4] == b"EHLO" else b"221 bye\\r\\n")
    except OSError:
        pass
while True:
    threading.Thread(target=talk, args=(door.accept()[0],), daemon=True).start()
"""


@pytest.mark.parametrize("name, verdict, words", [
    ("other", "certificate-other-name", "it is for other.example.test"), ("expired", "certificate-expired", "it expired on"),
    ("self", "certificate-self-signed", ""), ("stranger", "certificate-unknown-issuer", "Test CA")])
def test_a_wrong_certificate_is_named(net, wrong, name, verdict, words):
    net.redirect(465, wrong[name])
    net.drop(25, 587, 2525)
    facts = ports(net, "mail.example.test", code=69)
    assert verdicts(facts)[465] == verdict
    assert words in [p["said"] for p in facts[0]["ports"] if p["port"] == 465][0]
    assert send(net, "--deadline", "2").returncode == 69


def test_a_certificate_that_is_the_servers_elsewhere_tells_an_impostor(net, wrong):
    net.redirect(465, wrong["stranger"])
    facts = ports(net, "mail.example.test", code=0)
    assert verdicts(facts)[465] == "impostor"
    assert facts[0]["use"] == 587


# ---- names ----

def test_names_that_are_not_there(net):
    nowhere = net.cli("ports", "nowhere.example.test")
    assert nowhere.returncode == 68 and "NXDOMAIN" in nowhere.stderr
    empty = net.cli("ports", "empty.example.test")
    assert empty.returncode == 68 and "no address" in empty.stderr
    failing = net.cli("ports", "host.elsewhere.invalid-zone.test")
    assert failing.returncode in (68, 75)  # REFUSED by this server: existence unknown
    assert net.cli("ports", "222.501.285.45").returncode == 65


def test_a_name_in_another_script(net):
    facts = ports(net, "bücher.example.test", code=0)
    assert facts[0]["host"] == "xn--bcher-kva.example.test"
    assert {p["certificate"] for p in facts[0]["ports"]} == {"valid"}
    assert "port 587 selected" in send(net, host="bücher.example.test").stderr


def test_no_network_at_all():
    done = subprocess.run(["unshare", "-n", str(PROGRAM), "ports", "mail.example.test"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 75 and "this machine has no network" in done.stderr


def test_every_port_refused_and_every_port_silent(net):
    net.drop(25, 587, 2525, 465)
    done = net.cli("ports", "--deadline", "2", "mail.example.test")
    assert done.returncode == 69
    assert "no answer at all" in done.stdout and "no port can be used" in done.stdout and "cause:" in done.stdout


def test_the_last_line_is_the_one_to_paste(net):
    net.drop(587)
    done = net.cli("ports", "--deadline", "2", "--ca-file", net.ca, "mail.example.test")
    assert done.returncode == 0
    assert done.stdout.rstrip().splitlines()[-1].split() == ["host", "mail.example.test", "port", "2525", "STARTTLS"]
    assert "for servers, not for you" in done.stdout


def test_interrupted_in_the_middle(net):
    net.drop(25, 587, 2525, 465)
    process = net.start(net.client, PROGRAM, "ports", "mail.example.test", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 10
    while not Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(str(PROGRAM).encode()) and time.monotonic() < deadline:
        time.sleep(0.01)  # `ip` executes it
    time.sleep(0.3)  # so that it is in the middle
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr.read() == b""


# ---- mail addresses ----

def test_the_domains_own_records_name_the_server(net):
    facts = ports(net, "ada@srv.example.test", code=0)
    assert facts[0]["source"] == "the SRV records of srv.example.test"
    assert facts[0]["settings"] == {"host": "mail.example.test", "port": 2525, "tls": "starttls", "user": "ada@srv.example.test"}
    net.drop(2525)
    assert ports(net, "ada@srv.example.test", code=0)[0]["use"] == 587


def test_a_domain_that_takes_no_mail_from_programs(net):
    done = net.cli("ports", "ada@none.example.test")
    assert done.returncode == 69 and "does not offer submission" in done.stderr


HTTPS = """
import http.server, ssl, sys
class Settings(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(sys.argv[3], "rb").read()
        self.send_response(200 if self.path == "/mail/config-v1.1.xml?emailaddress=ada%40auto.example.test" else 404)
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("192.0.2.2", 443), Settings)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def test_published_settings_name_the_server(net, certificates, tmp_path):
    (tmp_path / "config.xml").write_text(
        "<clientConfig version='1.1'><emailProvider id='auto.example.test'><outgoingServer type='smtp'><hostname>mail.example.test</hostname>"
        "<port>465</port><socketType>SSL</socketType><username>%EMAILLOCALPART%</username></outgoingServer></emailProvider></clientConfig>")
    make_certificate(certificates, tmp_path, "auto", "autoconfig.auto.example.test")
    net.start(net.server, sys.executable, "-c", HTTPS, tmp_path / "auto.pem", tmp_path / "auto.key", tmp_path / "config.xml",
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    net.wait_port(443)
    facts = ports(net, "ada@auto.example.test", code=0)
    assert facts[0]["settings"] == {"host": "mail.example.test", "port": 465, "tls": "implicit", "user": "ada"}


def test_the_usual_name_is_the_last_guess(net):
    facts = ports(net, "ada@usual.example.test", code=0)
    assert facts[0]["host"] == "smtp.usual.example.test" and "guess" in facts[0]["source"]


def test_doctor_tells_what_leaves(net):
    net.drop(25, 465, 587)
    done = net.cli("doctor", "--target", "mail.example.test", "--ca-file", net.ca, "--json")
    facts = json.loads(done.stdout)
    assert done.returncode == 0
    assert {p["port"]: p["reached"] for p in facts["outgoing"]} == {25: False, 587: False, 465: False, 2525: True}
    assert "smarthost on 2525" in facts["advice"] and facts["diagnosis"]["use"] == 2525


def doctor_config(folder, via, host="mail.example.test", port="587"):
    password, config = folder / "password", folder / "mailboat.conf"
    password.write_text("secret\n")
    password.chmod(0o600)
    smarthost = "" if via == "mx" else f", smarthost: {{host: {host}, port: {port}, user: u, password_file: {password}}}"
    config.write_text(f"hostname: client.example.test\ndata_dir: {folder / 'data'}\ndomains: [client.example.test]\nrelay: {{via: {via}{smarthost}}}\n")
    return config


@pytest.mark.parametrize("via", ["smarthost", "auto", "mx"])
def test_doctor_does_not_advise_what_is_configured(net, tmp_path, via):
    """If 25 is silent and a smarthost delivers, doctor does not advise to get one."""
    net.drop(25)
    config = doctor_config(tmp_path, via)
    done = net.cli("doctor", "--config", config, "--target", "mail.example.test", "--ca-file", net.ca)
    words = done.stdout
    assert words, done.stderr
    if via == "mx":
        assert "let a smarthost deliver" in words and "use a smarthost on 587" in words
    else:
        said = "auto; outgoing port 25 is blocked" if via == "auto" else "smarthost"
        assert f"-> Mail leaves through the smarthost mail.example.test (relay.via: {said})" in words
        assert "let a smarthost deliver" not in words and "use a smarthost" not in words


@pytest.mark.parametrize("port", ["587", "auto"])
def test_doctor_examines_the_smarthost(net, tmp_path, port):
    """If the smarthost cannot be used, doctor says why, although the ports of other hosts are open."""
    net.drop(25)
    config = doctor_config(tmp_path, "smarthost", host="lost.example.test", port=port)
    done = net.cli("doctor", "--config", config, "--target", "mail.example.test", "--ca-file", net.ca, "--json")
    facts = json.loads(done.stdout)
    assert done.returncode == 69 and facts["diagnosis"]["use"] == 587
    assert facts["advice"].startswith("The smarthost lost.example.test cannot be used (relay.via: smarthost): ")
    causes = [each["cause"] for each in facts["smarthost"]["diagnosis"]["causes"]]  # this network also has no way out
    assert not facts["smarthost"]["works"] and "name-unknown" in causes, causes
    config = doctor_config(tmp_path, "smarthost", port=port)
    net.drop(587)
    done = net.cli("doctor", "--config", config, "--target", "mail.example.test", "--ca-file", net.ca, "--json")
    facts = json.loads(done.stdout)
    smarthost = facts["smarthost"]
    assert (port == "auto") == facts["advice"].startswith("Mail leaves through") and (port == "587") == ("set relay.smarthost.port to auto, or to 2525" in facts["advice"]), facts["advice"]
    assert smarthost["works"] == (port == "auto") and {p["port"]: p["state"] for p in smarthost["ports"]}[587] == "filtered", smarthost


# ---- for programs ----

def test_send_tells_a_program_what_a_person_reads(net):
    sent = send(net, "--json")
    facts = json.loads(sent.stdout)
    assert sent.returncode == 0 and facts["port"] == 587 and facts["recipients"][0]["accepted"]
    assert "diagnosis" not in facts and "error" not in facts


def test_a_failure_of_send_has_the_diagnosis_that_ports_has(net):
    net.drop(587, 2525, 465)
    done = send(net, "--json", "--deadline", "2")
    facts, known = json.loads(done.stdout), ports(net, "mail.example.test", code=69)[0]
    assert done.returncode == 69 and facts["port"] is None
    assert [(one["address"], one["accepted"]) for one in facts["recipients"]] == [("ada@example.test", False)]
    assert "no port works" in facts["error"] and "cause:" not in done.stderr
    assert facts["diagnosis"].keys() == known["diagnosis"].keys() and not facts["diagnosis"]["works"]
    assert facts["diagnosis"]["causes"][0].keys() == known["diagnosis"]["causes"][0].keys()
    assert facts["diagnosis"]["causes"][0]["cause"] in [one["cause"] for one in known["diagnosis"]["causes"]]
    assert facts["diagnosis"]["steps"][0].keys() == {"step", "text"}


def test_a_rejected_password_and_a_rejected_recipient_are_told_to_programs(net):
    wrong = net.folder / "wrong"
    wrong.write_text("not-her-password\n")
    done = send(net, "--json", "--password-file", str(wrong))
    facts = json.loads(done.stdout)
    assert done.returncode == 77 and facts["port"] == 587 and facts["recipients"][0]["code"] == 535
    assert facts["diagnosis"]["causes"][0]["cause"].startswith("password")
    done = send(net, "--json", "--to", "nobody-there@example.test")
    facts = json.loads(done.stdout)
    assert done.returncode == 69 and [one["accepted"] for one in facts["recipients"]] == [True, False]
    assert "REPLY_RECIPIENT" in facts["diagnosis"]["causes"][0]["findings"]


def test_words_that_are_not_utf8_leave_the_json_whole(net):
    box = middlebox(net, "latin", 20400)
    net.redirect(587, 20400)
    net.drop(2525, 465)
    done = send(net, "--json", "--deadline", "3")
    assert "sp?ter wieder" in json.loads(done.stdout)["error"], done.stdout
    box.terminate()


def test_the_server_on_this_machine_is_told_to_programs(mailboat):
    server = mailboat()
    server.add_user("ada@example.org", "secret-of-ada")
    mail = ["--config", server.config, "--from", "ada@example.org", "--body", "hello", "--json"]
    done = server.cli("send", "--to", "ada@example.org", *mail)
    assert json.loads(done.stdout)["recipients"][0]["accepted"] and json.loads(done.stdout)["port"] == 0
    server.stop()
    done = server.cli("send", "--to", "ada@example.org", *mail, check=False)
    assert done.returncode == 75 and "is `mailboat serve` running?" in json.loads(done.stdout)["error"]


# ---- servers of other projects ----

@pytest.fixture(scope="module", params=["postfix", "exim"])
def foreign(request, tmp_path_factory, certificates):
    with networks(tmp_path_factory.mktemp("net")) as net:
        kind = Postfix if request.param == "postfix" else Exim
        net.mail = kind(tmp_path_factory.mktemp(request.param), "example.test", certificates, namespace=net.server)
        for port in (587, 2525, 465):
            net.wait_port(port)
        net.ca = certificates / "ca.pem"
        yield net
        net.mail.stop()


@pytest.mark.parametrize("blocked, winner", [([], 587), ([587], 2525), ([587, 2525], 465)])
def test_a_foreign_server_is_reached_too(foreign, blocked, winner):
    foreign.clear()
    foreign.drop(*blocked)
    before = len(foreign.mail.mail())
    done = foreign.cli("send", "--host", "mail.example.test", "--ca-file", foreign.ca, "--from", "ada@example.test", "--to", "bob@example.test",
                       "--subject", "by which port", "--body", "hello", home=foreign.folder / f"home{winner}")
    assert done.returncode == 0, done.stderr
    assert f"port {winner} selected" in done.stderr
    deadline = time.monotonic() + 20
    while len(foreign.mail.mail()) == before and time.monotonic() < deadline:
        time.sleep(0.05)  # another program's mailbox: there is no event to wait for
    assert len(foreign.mail.mail()) == before + 1
    facts = ports(foreign, "mail.example.test", code=0)
    assert facts[0]["use"] == winner


# ---- the smarthost ----

def test_a_smarthosts_port_is_found_and_found_again(net, tmp_path, certificates):
    """A relay on the client's host; its smarthost is the server, whose ports are opened and closed."""
    password = tmp_path / "password"
    password.write_text("secret-of-ada\n")
    relay = net.mailboat(tmp_path / "relay", certificates, extra="queue: {retry: {first: 1s, max: 1s}}\n",
                         relay=f"relay:\n  via: smarthost\n  ca_file: {certificates}/ca.pem\n"
                               f"  smarthost: {{host: mail.example.test, port: auto, user: ada@example.test, password_file: {password}}}\n")
    relay.domains, relay.wrapper = ("here.test",), ["ip", "netns", "exec", net.client]
    net.drop(587)
    relay.start()
    try:
        def submit():
            net.run(PROGRAM, "send", "--config", relay.config, "--from", "ada@example.test", "--to", "ada@example.test", "--body", "hello", check=True)
        submit()
        relay.wait_log("smarthost_port_selected", "port=2525")
        relay.wait_log("delivered", "ada@example.test")
        net.drop(2525)
        time.sleep(4)  # the kept connection ends after three seconds
        submit()
        relay.wait_log("smarthost_port_selected", "port=465", timeout=60)
        relay.wait_log("delivered", "ada@example.test", count=2, timeout=60)
        assert not relay.lines("bounced")
    finally:
        relay.stop()


def test_where_25_is_blocked_the_smarthost_carries(net, tmp_path, certificates):
    """relay.via: auto: three servers in a row are silent on 25, so all mail is sent through the smarthost, including
    those three messages, without waiting for a retry."""
    password = tmp_path / "password"
    password.write_text("secret-of-ada\n")
    relay = net.mailboat(tmp_path / "relay", certificates, relay=f"relay:\n  via: auto\n  ca_file: {certificates}/ca.pem\n"
                         f"  smarthost: {{host: mail.example.test, port: auto, user: ada@example.test, password_file: {password}}}\n")
    relay.domains, relay.wrapper = ("here.test",), ["ip", "netns", "exec", net.client]
    relay.start()
    net.drop(25)

    def submit(*to):
        net.run(PROGRAM, "send", "--config", relay.config, "--from", "ada@example.test", *(w for t in to for w in ("--to", t)), "--body", "hello", check=True)
    try:
        submit("x@a.example.test", "x@b.example.test", "x@c.example.test")
        relay.wait_log("relay_route_changed", "route=smarthost", timeout=40)
        for domain in "abc":
            relay.wait_log("delivered", f"to=x@{domain}.example.test", "peer=mail.example.test[192.0.2.2]:587", timeout=40)
        started = time.monotonic()
        submit("y@a.example.test")  # later mail goes there immediately
        relay.wait_log("delivered", "to=y@a.example.test", ":587", timeout=40)
        assert time.monotonic() - started < 5
        assert len(relay.lines("relay_route_changed")) == 1 and not relay.lines("bounced")
    finally:
        relay.stop()


# ---- last: after this the server rejects this client's passwords for minutes ----

def test_forty_rejected_at_once_keep_the_state_whole(net):
    """Forty programs write the same state: each reports its own result, and the file is never corrupt or lost."""
    home = net.folder / "forty"
    wrong = net.folder / "wrong"
    wrong.write_text("not-her-password\n")
    assert send(net, home=home).returncode == 0
    with ThreadPoolExecutor(40) as pool:
        codes = list(pool.map(lambda _: send(net, "--password-file", str(wrong), home=home).returncode, range(40)))
    assert set(codes) <= {77, 75} and 77 in codes, codes  # 75: the server's limit of attempts
    state = home / ".local/state/mailboat"
    for name in ("history.json", "ports.json"):
        assert isinstance(json.loads((state / name).read_text()), dict)
    assert sorted(file.name for file in state.iterdir()) == ["history.json", "ports.json"]
    history = json.loads((state / "history.json").read_text())
    assert len(history["refused"]) == 1
    assert history["calls"]["mail.example.test"]["count"] == 41, history["calls"]
