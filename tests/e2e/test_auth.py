# SPDX-License-Identifier: Apache-2.0
"""Authentication: SCRAM with clients of other projects, channel binding, password guessing."""
import base64
import hashlib
import hmac
import json
import os
import signal
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import threading

import pytest

from mailboat import PROGRAM, memory_kib, run, smtp, until

USER, PASSWORD = "ada@example.org", "secret-of-ada"


def b64(octets):
    return base64.b64encode(octets).decode()


class Scram:
    """The client side of RFC 5802, without a library."""

    def __init__(self, user, password, binding=b"", binding_name=None, flag="n"):
        self.password, self.binding = password, binding
        self.header = f"p={binding_name},," if binding_name else f"{flag},,"
        self.bare = f"n={user},r={b64(os.urandom(12))}"
        self.mechanism = "SCRAM-SHA-256-PLUS" if binding_name else "SCRAM-SHA-256"
        self.server_first = None

    def first(self):
        return (self.header + self.bare).encode()

    def final(self, challenge):
        self.server_first = challenge.decode()
        fields = dict(part.split("=", 1) for part in self.server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        unproved = f"c={b64(self.header.encode() + self.binding)},r={fields['r']}"
        message = ",".join([self.bare, self.server_first, unproved]).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        self.expected = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256"))
        return f"{unproved},p={b64(bytes(a ^ b for a, b in zip(client_key, signature)))}".encode()


def sign_in(client, scram):
    """Returns the last reply; checks the server's signature if there is one."""
    client.ehlo_or_helo_if_needed()
    code, text = client.docmd("AUTH", f"{scram.mechanism} {b64(scram.first())}")
    if code != 334:
        return code, text
    code, text = client.docmd(b64(scram.final(base64.b64decode(text))))
    if code != 334:
        return code, text
    assert base64.b64decode(text) == scram.expected
    return client.docmd("")


def end_point(client):
    """Returns tls-server-end-point of RFC 5929: the tests' certificates are signed with SHA-256."""
    return hashlib.sha256(client.sock.getpeercert(True)).digest()


def gsasl(server, *arguments, password=PASSWORD):
    # The tool supports no implicit TLS: 587 with STARTTLS.
    return subprocess.run(["gsasl", "--smtp", "--connect", f"127.0.0.1:{server.ports[587]}", "--starttls", "--x509-ca-file", str(server.ca),
                           "--hostname", "localhost", "--authentication-id", USER, "--password", password, *arguments],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("port", [587, 465, 2525])
def test_client_scram_by_hand(shared_server, port):
    with smtp(shared_server, port) as client:
        assert sign_in(client, Scram(USER, PASSWORD))[0] == 235
        assert client.docmd("MAIL", f"FROM:<{USER}>")[0] == 250
    with smtp(shared_server, port) as client:
        assert sign_in(client, Scram(USER, PASSWORD, end_point(client), "tls-server-end-point"))[0] == 235


def test_client_gsasl(shared_server):
    since = len(shared_server.log)
    for mechanism in ("SCRAM-SHA-256-PLUS", "PLAIN", "LOGIN"):
        done = gsasl(shared_server, "--mechanism", mechanism)
        assert done.returncode == 0 and "235 2.7.0" in done.stdout, f"{mechanism}\n{done.stdout}{done.stderr}"
    done = gsasl(shared_server, "--mechanism", "SCRAM-SHA-256", "--no-cb")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not shared_server.lines("auth_failed", since=since)
    done = gsasl(shared_server, "--mechanism", "SCRAM-SHA-256-PLUS", password="wrong")
    assert done.returncode != 0 and "535" in done.stdout + done.stderr


def test_wrong_channel_binding_is_refused(shared_server):
    with smtp(shared_server, 465) as client:
        code, text = sign_in(client, Scram(USER, PASSWORD, bytes(32), "tls-server-end-point"))
        assert code == 535 and b"channel binding mismatch" in text
        assert sign_in(client, Scram(USER, PASSWORD, end_point(client), "tls-unique"))[0] == 535
        code, text = sign_in(client, Scram(USER, PASSWORD, flag="y"))  # -PLUS was removed from the list
        assert code == 535 and b"possible downgrade attack" in text
        shared_server.wait_log("reply_rejected", "code=535", "possible downgrade attack")
        shared_server.wait_log("reply_rejected", "code=535", "channel binding mismatch")
        assert client.docmd("MAIL", f"FROM:<{USER}>")[0] == 530


def test_unknown_and_wrong_look_the_same(shared_server):
    salts, replies = {}, {}
    for _ in range(2):
        for user in (USER, "nobody@example.org", "not-an-address"):
            with smtp(shared_server, 465) as client:
                scram = Scram(user, "wrong")
                replies.setdefault(user, set()).add(sign_in(client, scram))
                fields = dict(part.split("=", 1) for part in scram.server_first.split(","))
                salts.setdefault(user, set()).add((fields["s"], fields["i"]))
    assert all(len(found) == 1 for found in salts.values()), "the salt of a name is stable"
    assert len({s for found in salts.values() for s, _ in found}) == 3 and len({i for found in salts.values() for _, i in found}) == 1
    assert len({len(base64.b64decode(s)) for found in salts.values() for s, _ in found}) == 1
    assert len(set.union(*replies.values())) == 1 and replies[USER].pop()[0] == 535


def test_keys_and_new_passwords_work_with_scram(mailboat):
    server = mailboat()
    server.add_user(USER, "the first")
    key = server.cli("key", "add", USER).stdout.strip()
    server.cli("user", "passwd", USER, "--password-stdin", text_input="the second\n")
    for password, code in ((key, 235), ("the second", 235), ("the first", 535)):
        with smtp(server, 465) as client:
            assert sign_in(client, Scram(USER, password))[0] == code
    server.cli("user", "disable", USER)
    with smtp(server, 465) as client:
        assert sign_in(client, Scram(USER, key))[0] == 535


def test_accounts_of_before_scram_learn_it_when_they_sign_in(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    key = server.cli("key", "add", USER).stdout.strip()
    server.stop()
    with sqlite3.connect(server.data / "accounts" / "accounts.db") as db:  # as version 1 stored it
        db.executescript("ALTER TABLE user DROP COLUMN scram; ALTER TABLE key DROP COLUMN scram; DROP TABLE secret;"
                         "ALTER TABLE user DROP COLUMN forward; ALTER TABLE user DROP COLUMN keeps; DROP TABLE away; ALTER TABLE user DROP COLUMN quota; PRAGMA user_version = 1;")
    server.start()
    with smtp(server, 465) as client:
        assert sign_in(client, Scram(USER, PASSWORD))[0] == 535
    for password in (PASSWORD, key):
        with smtp(server, 465, user=USER, password=password):
            pass
    server.wait_log("scram_verifier_stored", USER, count=2)
    for password in (PASSWORD, key):
        with smtp(server, 465) as client:
            assert sign_in(client, Scram(USER, password))[0] == 235


def guess(server, user, password, source=None):
    """Returns the reply code of AUTH PLAIN."""
    context = ssl.create_default_context(cafile=server.ca)
    with smtplib.SMTP_SSL("localhost", server.ports[465], context=context, source_address=source, timeout=30) as client:
        client.ehlo()
        return client.docmd("AUTH", "PLAIN " + b64(f"\0{user}\0{password}".encode()))[0]


def guess_much(server, user, source, count, mechanism="PLAIN"):
    """Sends wrong passwords, a few on each connection; returns the reply codes."""
    context = ssl.create_default_context(cafile=server.ca)
    codes = []
    while len(codes) < count:
        with smtplib.SMTP_SSL("localhost", server.ports[465], context=context, source_address=(source, 0), timeout=30) as client:
            client.ehlo()
            for _ in range(min(4, count - len(codes))):
                codes.append(guess_once(client, user) if mechanism == "PLAIN" else sign_in(client, Scram(user, "wrong"))[0])
    return codes


def guess_once(client, user):
    return client.docmd("AUTH", "PLAIN " + b64(f"\0{user}\0wrong".encode()))[0]


def test_a_guesser_is_locked_and_an_operator_sees_and_undoes_it(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    assert "no client or user is locked out" in server.cli("user", "locks").stdout
    assert guess_much(server, USER, "127.0.0.7", 8) == [535] * 6 + [454] * 2  # PLAIN
    assert guess(server, USER, PASSWORD, ("127.0.0.7", 0)) == 454
    assert guess(server, USER, PASSWORD) == 235  # no other client is locked out
    server.wait_log("auth_locked", f"user={USER}", "client=127.0.0.7")
    locks = json.loads(server.cli("user", "locks", "--json").stdout)
    assert [(lock["user"], lock["client"]) for lock in locks] == [(USER, "127.0.0.7")] and 0 < locks[0]["seconds"] <= 2
    assert USER in server.cli("user", "locks").stdout
    for _ in range(20):  # on a slow machine two seconds may have passed meanwhile
        if "unlocked" in server.cli("user", "unlock", USER).stdout:
            break
        guess_much(server, USER, "127.0.0.7", 1)
    else:
        pytest.fail("the user was never locked out when it was to be unlocked")
    assert guess(server, USER, PASSWORD, ("127.0.0.7", 0)) == 235
    server.wait_log("unlocked", f"subject={USER}")
    assert guess_much(server, "nobody@example.org", "127.0.0.8", 8, "SCRAM") == [535] * 6 + [454] * 2  # the same for an unknown user
    assert "unlocked" in server.cli("user", "unlock", "127.0.0.8").stdout
    assert server.cli("user", "unlock", check=False).returncode == 64


def attack(server, rounds=3):
    """Guesses once from each of many addresses, until unknown clients are locked out longer than a restart takes."""
    for address in range(51):
        assert guess_much(server, USER, f"127.0.9.{address + 1}", 1, "SCRAM") == [535]
    for address in range(rounds):
        until(lambda: guess_much(server, USER, f"127.0.9.{address + 1}", 1, "SCRAM") == [535])


def test_locks_outlive_the_process_that_made_them(mailboat):
    """After a kill or a reload, locked clients stay locked, and known clients stay known."""
    server = mailboat()
    server.add_user(USER, PASSWORD)
    assert guess(server, USER, PASSWORD, ("127.0.0.5", 0)) == 235
    attack(server)

    def locked():
        return [(lock["user"], lock["client"]) for lock in json.loads(server.cli("user", "locks", "--json").stdout)]
    assert locked() == [(USER, "")]
    first, = server.processes()["auth"]
    os.kill(first, signal.SIGKILL)
    until(lambda: server.processes().get("auth", [first]) != [first] and server.cli("user", "locks", check=False).returncode == 0)
    assert locked() == [(USER, "")]
    assert guess(server, USER, PASSWORD, ("127.0.9.1", 0)) == 454
    assert guess(server, USER, PASSWORD, ("127.0.0.5", 0)) == 235
    second, = server.processes()["auth"]
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reloaded")
    until(lambda: server.processes().get("auth", [second]) != [second] and server.cli("user", "locks", check=False).returncode == 0)
    assert locked() == [(USER, "")]
    assert "unlocked" in server.cli("user", "unlock", USER).stdout
    assert guess(server, USER, PASSWORD, ("127.0.0.6", 0)) == 235


def test_a_flood_of_guesses_leaves_good_users_unharmed(mailboat):
    server = mailboat()
    server.add_user(USER, PASSWORD)
    key = server.cli("key", "add", USER).stdout.strip()
    assert guess(server, USER, PASSWORD, ("127.0.0.5", 0)) == 235
    before = memory_kib(server.processes()["auth"][0])
    attack(server, rounds=1)
    assert guess(server, USER, PASSWORD, ("127.0.9.1", 0)) == 454  # a client that guessed is locked out
    locks = json.loads(server.cli("user", "locks", "--json").stdout)
    assert [(lock["user"], lock["client"]) for lock in locks] == [(USER, "")]
    assert guess(server, USER, PASSWORD, ("127.0.0.5", 0)) == 235  # the owner is not
    assert guess(server, USER, key, ("127.0.0.6", 0)) == 235
    with smtp(server, 465) as client:
        assert sign_in(client, Scram(USER, key))[0] == 235
    server.cli("user", "unlock", USER)
    assert guess(server, USER, PASSWORD, ("127.0.9.1", 0)) == 235
    for name in range(50):
        guess_much(server, f"u{name}@example.org", f"127.0.10.{name + 1}", 4, "SCRAM")
    assert guess(server, USER, PASSWORD, ("127.0.0.5", 0)) == 235
    assert memory_kib(server.processes()["auth"][0]) - before < 4096


def test_the_owner_gets_in_from_a_new_place_while_the_account_is_attacked(mailboat):
    """Addresses that failed are locked out; one new address gets a turn every ten seconds, and the others wait."""
    server = mailboat()
    server.add_user(USER, PASSWORD)
    attack(server)
    assert guess(server, USER, PASSWORD, ("127.0.9.1", 0)) == 454
    codes = {}

    def come(address, password):
        codes[address] = guess(server, USER, password, (address, 0))
    assert guess(server, USER, "wrong", ("127.0.8.1", 0)) == 535  # the first new address has its turn
    rest = [threading.Thread(target=come, args=("127.0.8.2", PASSWORD))]
    rest[0].start()
    until(lambda: codes)
    assert codes == {"127.0.8.2": 235}
    rest = [threading.Thread(target=come, args=(f"127.0.8.{n}", "wrong")) for n in range(3, 20)]
    for one in rest:
        one.start()
    until(lambda: len(codes) >= 1 + 10)  # no turns left for them in the next minute
    assert set(codes.values()) == {235, 454}
    assert guess(server, USER, PASSWORD, ("127.0.8.2", 0)) == 235
    server.cli("user", "unlock", USER)
    for one in rest:
        one.join()


def guess_at_once(server, tries):
    """Tries all (user, password, source) concurrently, each on its own connection; returns the codes."""
    context = ssl.create_default_context(cafile=server.ca)
    clients = [smtplib.SMTP_SSL("localhost", server.ports[465], context=context, source_address=(source, 0), timeout=120)
               for _, _, source in tries]
    for client in clients:
        client.ehlo()
    for client, (user, password, _) in zip(clients, tries):
        client.putcmd("AUTH", "PLAIN " + b64(f"\0{user}\0{password}".encode()))
    codes = [client.getreply()[0] for client in clients]
    for client in clients:
        client.close()
    return codes


def checked(server, since=0):
    """Returns the number of passwords that were checked with the slow hash."""
    return len(server.lines("password_checked", since=since))


DEBUG = "log: {level: debug}\n"


def test_guesses_in_parallel_win_nothing(mailboat):
    server = mailboat(extra=DEBUG)
    server.add_user(USER, PASSWORD)
    codes = guess_at_once(server, [(USER, f"wrong {n}", "127.0.0.7") for n in range(99)])
    assert sorted(codes) == [454] * 93 + [535] * 6 and checked(server) == 6
    assert guess(server, USER, PASSWORD, ("127.0.0.8", 0)) == 235


def test_right_passwords_in_parallel_are_all_let_in(mailboat):
    server = mailboat(extra=DEBUG)
    server.add_user(USER, PASSWORD)
    assert guess_at_once(server, [(USER, PASSWORD, "127.0.0.7")] * 99) == [235] * 99
    server.wait_log("password_checked")
    assert checked(server) == 1  # one hash for equal ones, the others learn its result


def test_equal_guesses_in_parallel_are_each_checked_and_counted(mailboat):
    """A wrong password is not remembered: each try costs its own hash, for users that do not exist too."""
    server = mailboat(extra=DEBUG)
    server.add_user(USER, PASSWORD)
    codes = guess_at_once(server, [(USER, "one wrong password", "127.0.0.7")] * 20)
    server.wait_log("password_checked", count=6)
    assert sorted(codes) == [454] * 14 + [535] * 6 and checked(server) == 6
    codes = guess_at_once(server, [("nobody@example.org", "one wrong password", "127.0.0.9")] * 20)
    server.wait_log("password_checked", count=12)
    assert sorted(codes) == [454] * 14 + [535] * 6 and checked(server) == 12
    assert guess(server, USER, PASSWORD, ("127.0.0.8", 0)) == 235


def test_different_passwords_in_parallel_never_share_a_result(mailboat):
    server = mailboat(extra=DEBUG)
    server.add_user(USER, PASSWORD)
    server.add_user("bob@example.org", "secret-of-bob")
    tries = [(USER, PASSWORD, "127.0.0.7"), (USER, PASSWORD + "x", "127.0.0.7"), ("bob@example.org", PASSWORD, "127.0.0.7"),
             ("bob@example.org", "secret-of-bob", "127.0.0.7")] * 3
    assert guess_at_once(server, tries) == [235, 535, 535, 235] * 3


def test_spellings_of_an_account_are_one_account(mailboat):
    server = mailboat(domains=("example.org", "exämple.org"), extra=DEBUG)
    server.add_user(USER, PASSWORD)
    spellings = [USER, "ADA@Example.ORG", '"ada"@example.org', '"a\\da"@example.org', "ada@ｅxample.org", "ada@example.org.", "ada+1@example.org", "ada+2@example.org"]
    codes = guess_at_once(server, [(spellings[n % 8], f"wrong {n}", "127.0.0.7") for n in range(70)])
    assert sorted(codes) == [454] * 64 + [535] * 6 and checked(server) == 6
    locks = json.loads(server.cli("user", "locks", "--json").stdout)
    assert [(lock["user"], lock["client"]) for lock in locks] == [(USER, "127.0.0.7")]
    assert "unlocked" in server.cli("user", "unlock", "ADA@EXAMPLE.org").stdout
    assert guess(server, '"ada"@EXAMPLE.org', PASSWORD, ("127.0.0.7", 0)) == 235
    assert guess(server, USER, PASSWORD, ("127.0.0.7", 0)) == 235


def test_guesses_by_dovecot_count_on_arrival_too(mailboat):
    server = mailboat(extra=DEBUG)
    server.add_user(USER, PASSWORD)
    environment = dict(os.environ, TCPREMOTEIP="192.0.2.7")
    asking = []
    for n in range(30):
        one = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" checkpassword --config "$1" /bin/true 3<&0', PROGRAM, server.config], stdin=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=environment)
        one.stdin.write(f"{USER}\0wrong {n}\0".encode())
        one.stdin.close()
        asking.append(one)
    codes = sorted(one.wait() for one in asking)
    assert codes.count(1) <= 6 and set(codes) == {1, 111} and checked(server) == codes.count(1)


def test_a_flood_of_strangers_does_not_keep_a_known_user_out(mailboat):
    """Three hundred concurrent guesses from thirty networks; a client that authenticated from here before goes first."""
    server = mailboat(extra=DEBUG + "processes: {smtpd: 2}\n")
    server.add_user(USER, PASSWORD)
    server.add_user("bob@example.org", "secret-of-bob")
    assert guess(server, "bob@example.org", "secret-of-bob", ("127.0.0.5", 0)) == 235
    server.cli("user", "passwd", "bob@example.org", "--password-stdin", text_input="a new one\n")  # no longer in the cache
    since, done = len(server.log), []
    tries = [(f"u{n}@example.org", "wrong", f"127.0.{20 + n % 30}.{n // 30 + 1}") for n in range(300)]
    flood = threading.Thread(target=lambda: done.append(guess_at_once(server, tries)))
    flood.start()
    server.wait_log("password_checked", "right=false", since=since)
    assert guess(server, "bob@example.org", "a new one", ("127.0.0.5", 0)) == 235
    before = checked(server, since)
    flood.join()
    assert before < checked(server, since) and len(done[0]) == 300 and set(done[0]) <= {535, 454}


def check_password(server, user, password):
    """Returns the result that Dovecot would get."""
    return subprocess.run(["/bin/sh", "-c", 'exec "$0" checkpassword --config "$1" /bin/true 3<&0', PROGRAM, server.config],
                          input=f"{user}\0{password}\0".encode(), capture_output=True, timeout=60).returncode


def test_who_finds_all_places_at_auth_taken_waits(mailboat):
    """64 concurrent checks; the next one is not rejected: an attack on Dovecot makes no correct password fail."""
    server = mailboat()
    server.add_user(USER, PASSWORD)

    def hold():
        held = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        held.connect(str(server.data / "auth.sock"))
        return held
    held = [hold() for _ in range(63)]
    assert check_password(server, USER, PASSWORD) == 0
    held.append(hold())
    asking = subprocess.Popen([PROGRAM, "user", "locks", "--config", server.config], stdout=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        asking.wait(1)
    held.pop().close()
    assert "no client or user is locked out" in asking.communicate(timeout=60)[0] and asking.returncode == 0
    for one in held:
        one.close()
    many = [threading.Thread(target=lambda: codes.append(check_password(server, USER, PASSWORD))) for _ in range(80)]
    codes = []
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert codes == [0] * 80


def test_a_password_is_the_same_however_it_is_composed(mailboat, tmp_path):
    """RFC 4013: é is one character, or e with a combining accent, depending on keyboard and system."""
    composed, apart = "caf\u00e9 \u00fcber", "cafe\u0301\u00a0u\u0308ber"
    server = mailboat()
    for user, kept in (("one@example.org", composed), ("two@example.org", apart)):
        server.add_user(user, kept)
        assert [guess(server, user, typed) for typed in (composed, apart, "cafe uber")] == [235, 235, 535]
        assert [check_password(server, user, typed) for typed in (composed, apart, "cafe uber")] == [0, 0, 1]
        with smtp(server, 587) as client:
            assert sign_in(client, Scram(user, composed))[0] == 235  # the form from which clients derive their keys
        for typed in (composed, apart):  # as our client does
            (tmp_path / "secret").write_text(typed + "\n")
            run("send", "--host", "localhost", "--port", server.ports[587], "--user", user, "--password-file", tmp_path / "secret", "--from", user, "--to", user,
                "--ca-file", server.ca, "--subject", "prepared", "--body", "hi")
    server.stop()
    assert [check_password(server, "one@example.org", typed) for typed in (composed, apart, "cafe uber")] == [0, 0, 1]


# ---- Mailboat as the client ----

def test_send_signs_in_by_scram_and_by_commands(mailboat, tmp_path):
    server = mailboat(extra="log: {level: debug}\n")
    server.add_user(USER, PASSWORD)
    (tmp_path / "secret").write_text(PASSWORD + "\nmore\n")

    def send(*arguments, **options):
        return run("send", "--host", "localhost", "--port", server.ports[587], "--user", USER, "--to", USER, "--ca-file", server.ca,
                   "--subject", "hello", *arguments, **options)

    send("--password-command", f"cat {tmp_path}/secret", text_input="the text\n")  # standard input is still the message
    server.wait_log("auth_ok", count=1)
    for command, code, words in (("false", 75, "failed (exit code 1)"), ("true", 65, "printed nothing"), ("kill -9 $$", 75, "signal 9"),
                                 ("head -c 9000 /dev/zero | tr '\\0' x", 65, "longer than 8192"), ("echo wrong", 77, "535")):
        done = send("--password-command", command, "--body", "x", check=False)
        assert done.returncode == code and words in done.stderr, (command, done.stderr)
    done = send("--oauth-command", "echo token", "--body", "x", check=False)
    assert done.returncode == 69 and done.stderr, done.stderr
    assert send("--oauth-command", "a", "--password-command", "b", "--body", "x", check=False).returncode == 64
    assert run("send", "--to", USER, "--password-command", "b", "--body", "x", check=False).returncode == 64


class TokenServer(threading.Thread):
    """A submission server that accepts one token, by XOAUTH2 or OAUTHBEARER, and stores what it received."""

    def __init__(self, certificates, mechanism, token="t0ken"):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.mechanism, self.token, self.heard, self.letters = self.listener.getsockname()[1], mechanism, token, [], []
        self.start()

    def run(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            self.talk(self.context.wrap_socket(raw, server_side=True))
        except OSError:
            pass

    def talk(self, connection):
        lines = connection.makefile("rwb")

        def say(*texts):
            for text in texts:
                lines.write(text.encode() + b"\r\n")
            lines.flush()

        say("220 token.example ESMTP")
        for line in lines:
            line = line.decode().strip()
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                say("250-token.example", f"250 AUTH PLAIN {self.mechanism}")
            elif verb == "AUTH":
                parts = line.split(" ")
                if len(parts) < 3:
                    say("334 ")
                    parts.append(lines.readline().decode().strip())
                response = base64.b64decode(parts[2]).decode()
                self.heard.append((parts[1], response))
                if response.endswith(f"\1auth=Bearer {self.token}\1\1"):
                    say("235 2.7.0 ok")
                else:
                    say("334 " + b64(b'{"status":"401"}'))
                    self.heard.append(("after", lines.readline().decode().strip()))
                    say("535 5.7.8 expired")
            elif verb == "DATA":
                say("354 go")
                letter = []
                while (text := lines.readline()) not in (b".\r\n", b""):
                    letter.append(text)
                self.letters.append(b"".join(letter))
                say("250 2.0.0 taken")
            elif verb == "QUIT":
                say("221 bye")
                connection.close()
                return
            else:
                say("250 2.0.0 ok")

    def stop(self):
        self.listener.close()


@pytest.mark.parametrize("mechanism,response", [("XOAUTH2", f"user={USER}\1auth=Bearer t0ken\1\1"), ("OAUTHBEARER", f"n,a={USER},\1auth=Bearer t0ken\1\1")])
def test_send_with_a_token(certificates, mechanism, response):
    server = TokenServer(certificates, mechanism)
    arguments = ["send", "--host", "localhost", "--port", f"{server.port}:tls", "--user", USER, "--to", "bob@example.net", "--ca-file", certificates / "ca.pem",
                 "--body", "x"]
    run(*arguments, "--oauth-command", "echo t0ken")
    assert server.heard == [(mechanism, response)] and len(server.letters) == 1
    server.heard.clear()
    done = run(*arguments, "--oauth-command", "echo stale", check=False)
    assert done.returncode == 77 and "535 5.7.8 expired" in done.stderr
    assert server.heard[1] == ("after", "AQ==" if mechanism == "OAUTHBEARER" else "")
    server.stop()


# ---- the relay signs in at a smarthost ----

def smarthost(certificates, port, tls, **more):
    extra = "".join(f", {k}: {json.dumps(str(v))}" for k, v in more.items())
    return (f"relay:\n  via: smarthost\n  ca_file: {certificates}/ca.pem\n"
            f"  smarthost: {{host: localhost, port: {port}, tls: {tls}, user: {USER}{extra}}}\n")


def submit(server, to="bob@elsewhere.net"):
    with smtp(server, 587, user=USER, password=PASSWORD) as client:
        client.sendmail(USER, [to], f"From: {USER}\r\nSubject: hello\r\n\r\nhello\r\n")


def test_relay_with_a_token_that_a_command_prints(mailboat, certificates, tmp_path):
    peer = TokenServer(certificates, "XOAUTH2")
    token = tmp_path / "token"
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    server = mailboat(relay=smarthost(certificates, peer.port, "implicit", token_command=f"cat {token} && cat"))
    server.add_user(USER, PASSWORD)
    submit(server)  # no such file yet
    server.wait_log("helper_command_failed", "token_command", "exit code")
    server.wait_log("deferred", "token_command")
    token.write_text("stale\nanother line\n")
    since = len(server.log)
    server.cli("queue", "retry", "--all")
    server.wait_log("deferred", "expired", since=since)
    token.write_text("t0ken\n")
    server.cli("queue", "retry", "--all")
    server.wait_log("delivered", "to=bob@elsewhere.net")
    submit(server)  # the token is available
    server.wait_log("delivered", "to=bob@elsewhere.net", count=2)
    assert len(peer.letters) == 2 and peer.heard[-1] == ("XOAUTH2", f"user={USER}\1auth=Bearer t0ken\1\1")
    assert not any("t0ken" in line or "stale" in line for line in server.log)
    peer.stop()


def test_relay_signs_in_by_scram_bound_to_the_channel(mailboat, certificates):
    far = mailboat(domains=("elsewhere.net", "example.org"), extra="log: {level: debug}\n")
    far.add_user(USER, PASSWORD)
    far.add_user("bob@elsewhere.net", "secret-of-bob")
    server = mailboat(relay=smarthost(certificates, far.ports[587], "starttls", password_command=f"echo {PASSWORD}"))
    server.add_user(USER, PASSWORD)
    submit(server)
    far.wait_log("delivered", "to=bob@elsewhere.net")
    far.wait_log("auth_ok", "mechanism=SCRAM-SHA-256-PLUS")


@pytest.mark.parametrize("keys", [{}, {"password_command": "a", "token_command": "b"}, {"password_file": "/etc/hostname", "token_command": "b"}])
def test_a_smarthost_has_one_way_to_sign_in(mailboat, certificates, keys):
    server = mailboat()
    server.config.write_text(server.config.read_text() + smarthost(certificates, 587, "starttls", **keys))
    done = server.cli("config", "check", check=False)
    assert done.returncode == 78 and "password_command" in done.stderr and "token_command" in done.stderr
