# SPDX-License-Identifier: Apache-2.0
"""The life of signing keys with a real DNS: nsd and dnsmasq in namespaces of the test's own."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from mailboat import PROGRAM
from networks import networks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

HEAD = """$ORIGIN example.test.
$TTL 60
@    IN SOA ns.example.test. admin.example.test. 1 3600 600 86400 60
@    IN NS ns
ns   IN A 192.0.2.2
"""


class Keys:
    """A Mailboat on the server host, and the zone that it looks at."""

    def __init__(self, net, server):
        self.net, self.server = net, server

    def run(self, *arguments, check=True):
        done = self.net.run(str(PROGRAM), *arguments, "--config", self.server.config, where=self.net.server)
        assert not check or done.returncode == 0, done.stderr
        return done

    def dkim(self, *arguments):
        return json.loads(self.run("dkim", *arguments, "--json").stdout)

    def one(self, verb, domain):
        """Returns the keys of a domain by selector; the key itself if there is only one."""
        keys = {key["selector"]: key for key in self.dkim(verb, domain)}
        return next(iter(keys.values())) if len(keys) == 1 else keys

    def publish(self, *lines):
        self.net.change_zone(HEAD + "\n".join(lines) + "\n")

    def state(self, key):
        return self.server.data / "keys" / key["domain"] / f"{key['selector']}.json"


def strings(key, ttl=0):
    """Returns the record as strings for a zone file."""
    record = key["record"]
    return f"{record['name']}. {ttl} IN TXT " + " ".join(f'"{part}"' for part in record["strings"])


def text(key, value, ttl=0):
    parts = [value[at:at + 255] for at in range(0, len(value), 255)]
    return f"{key['record']['name']}. {ttl} IN TXT " + " ".join('"' + part.replace('"', '\\"') + '"' for part in parts)


@pytest.fixture(scope="module")
def keys(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("keys")
    with networks(folder / "net") as net:
        net.change_zone(HEAD)
        server = net.mailboat(folder / "server", certificates)
        server.write_config()
        yield Keys(net, server)
        if server.process is not None:
            server.stop()


def test_a_domain_is_added_and_its_record_is_shown_three_ways(keys):
    out = keys.run("domain", "add", "shop.example.test").stdout
    key = keys.one("show", "shop.example.test")
    assert re.fullmatch(r"mb-rsa-\d{6}", key["selector"]) and key["state"] == "prepared" and not key["signs"]
    value, name = key["record"]["value"], key["record"]["name"]
    assert name == f"{key['selector']}._domainkey.shop.example.test" and value.startswith("v=DKIM1; k=rsa; p=")
    assert [len(part) for part in key["record"]["strings"]] == [255, len(value) - 255]
    assert f"{name} TXT {value}\n" in out
    assert f'{name}. IN TXT ( "{value[:255]}" "{value[255:]}" )\n' in out
    assert f"name:  {key['selector']}._domainkey\ntype:  TXT\nvalue: {value}\n" in out
    assert keys.run("dkim", "show", "shop.example.test").stdout.endswith(out[out.index("As one line"):])
    secret = keys.state(key).with_suffix(".pem")
    assert secret.stat().st_mode & 0o7777 == 0o400
    public = subprocess.run(["openssl", "pkey", "-in", secret, "-pubout"], capture_output=True, text=True, check=True).stdout
    assert "".join(public.splitlines()[1:-1]) == value.partition("p=")[2]


WRONG = {  # faults of a record in DNS: how the key's record is changed, the finding, a part of the sentence
    "missing": (lambda key: "", "missing", "DNS does not have the record; publish it"),
    "cut": (lambda key: text(key, key["record"]["value"][:255]), "cut", "at most 255 characters"),
    "other": (lambda key: text(key, "v=DKIM1; k=ed25519; p=5PQ1FvV5/vd6oVZxFTBmlRhoVOXZB68qXqQdIH+Ywv8="), "other", "replace it with this record"),
    "alias": (lambda key: f"{key['record']['name']}. 0 IN CNAME nowhere.example.test.", "alias", "alias (CNAME)"),
    "quoted": (lambda key: text(key, '"' + key["record"]["value"] + '"'), "quoted", "without them"),
    "several": (lambda key: strings(key) + "\n" + text(key, "v=DKIM1; p="), "several", "keep only this one"),
    "revoked": (lambda key: text(key, "v=DKIM1; p="), "revoked", "revokes the key"),
    "broken": (lambda key: text(key, "v=spf1 -all"), "broken", "is not a key"),
}
RIGHT = {
    "right": strings,
    "slow": lambda key: strings(key, ttl=600),
    "pointed": lambda key: f"{key['record']['name']}. 0 IN CNAME of.provider.example.test.\n"
                           + strings({"record": {**key["record"], "name": "of.provider.example.test"}}),
}


def test_each_record_in_dns_moves_the_key_or_is_one_sentence(keys):
    made = {name: keys.dkim("add", f"{name}.example.test", "--selector", "s1", "--algorithm", "ed25519" if name == "slow" else "rsa")[0]
            for name in [*WRONG, *RIGHT]}
    gone = keys.dkim("add", "nothing.gone.example.test", "--selector", "s1")[0]
    domains = [f"{name}.example.test. IN A 192.0.2.9" for name in made]
    keys.publish(*domains, *(form(made[name]) for name, (form, _, _) in WRONG.items()), *(form(made[name]) for name, form in RIGHT.items()))
    seen = {key["domain"].partition(".")[0]: key for key in keys.dkim("tend")}
    for name, (_, what, sentence) in WRONG.items():
        key = seen[name]
        assert (key["state"], key["resolver"], key["servers"]) == ("prepared", what, what), key
        assert sentence in key["text"] and key["needs_person"] and not key["signs"], key
    assert seen["nothing"]["resolver"] == "no_domain" and "registrar" in seen["nothing"]["text"], (gone, seen["nothing"])
    for name in ("right", "pointed"):
        assert seen[name]["state"] == "active" and seen[name]["signs"], seen[name]
    slow = seen["slow"]
    assert slow["state"] == "published" and not slow["signs"] and slow["until"] - slow["since"]["published"] == 600
    listed = keys.run("dkim", "list").stdout
    assert "cut.example.test  s1  rsa  prepared since" in listed and "slow.example.test  s1  ed25519  published" in listed


def test_a_record_that_goes_ends_signing_and_a_successor_takes_over(keys):
    domain, old = "right.example.test", keys.one("list", "right.example.test")
    keys.publish(f"{domain}. IN A 192.0.2.9")
    lost = keys.one("tend", domain)
    assert lost["state"] == "prepared" and not lost["signs"] and "mail is not signed with this key" in lost["text"]
    keys.publish(strings(old))
    assert keys.one("tend", domain)["signs"]
    assert keys.run("dkim", "add", domain, check=False).returncode == 65
    successor = keys.dkim("rotate", domain)[0]
    assert successor["state"] == "prepared" and keys.dkim("rotate", domain)[0]["selector"] == successor["selector"]
    both = keys.one("tend", domain)
    assert both["s1"]["signs"] and not both[successor["selector"]]["signs"]
    keys.publish(strings(old), strings(successor))
    both = keys.one("tend", domain)
    assert both["s1"]["state"] == "retired" and both[successor["selector"]]["signs"]
    assert "keep the record until" in both["s1"]["text"]
    # 14 days later the private key is removed, and 30 days after that the rest
    state = json.loads(keys.state(old).read_text())
    keys.state(old).write_text(json.dumps({**state, "retired": int(time.time()) - 14 * 86400}))
    assert '"v=DKIM1; p=" until' in keys.one("tend", domain)["s1"]["text"]
    assert not keys.state(old).with_suffix(".pem").exists()
    state = json.loads(keys.state(old).read_text())
    keys.state(old).write_text(json.dumps({**state, "removed": int(time.time()) - 30 * 86400}))
    assert f"delete {old['record']['name']}" in keys.one("tend", domain)["s1"]["text"]
    keys.publish(strings(successor))
    assert keys.one("tend", domain)["selector"] == successor["selector"]
    # the operator retires the last one; an old one gets a successor automatically
    assert keys.dkim("retire", successor["selector"], domain)[0]["state"] == "retired"
    shop = keys.one("list", "shop.example.test")
    keys.publish(strings(shop))
    assert keys.one("tend", "shop.example.test")["signs"]
    state = json.loads(keys.state(shop).read_text())
    keys.state(shop).write_text(json.dumps({**state, "active": int(time.time()) - 181 * 86400}))
    both = keys.one("tend", "shop.example.test")
    assert both[shop["selector"]]["waits_for"] == "successor" and both[f"{shop['selector']}-2"]["state"] == "prepared"


def test_a_key_that_cannot_be_used_takes_no_other_keys_place(keys):
    """Whatever DNS shows: its domain would be left without a key that signs."""
    domain = "follow.example.test"
    old = keys.dkim("add", domain, "--selector", "s1")[0]
    keys.publish(strings(old))
    assert keys.one("tend", domain)["signs"]
    successor = keys.dkim("rotate", domain)[0]
    secret = keys.state(successor).with_suffix(".pem")
    owner = secret.stat()
    os.chown(secret, 31337, 31337)
    keys.publish(strings(old), strings(successor))
    both = keys.one("tend", domain)
    assert both["s1"]["state"] == "active" and both["s1"]["signs"]
    assert both[successor["selector"]]["state"] == "prepared" and "belongs to user 31337" in both[successor["selector"]]["fault"]
    os.chown(secret, owner.st_uid, owner.st_gid)
    both = keys.one("tend", domain)
    assert both["s1"]["state"] == "retired" and both[successor["selector"]]["signs"]


def test_faults_of_files_and_of_the_clock_are_sentences(keys):
    key = keys.one("list", "pointed.example.test")
    secret = keys.state(key).with_suffix(".pem")
    owner = secret.stat().st_uid
    os.chown(secret, 31337, 31337)
    fault = keys.one("list", key["domain"])
    assert "belongs to user 31337" in fault["fault"] and "chown" in fault["fault"] and not fault["signs"]
    os.chown(secret, owner, owner)
    keys.dkim("retire", key["selector"], key["domain"])
    state = json.loads(keys.state(key).read_text())
    keys.state(key).write_text(json.dumps({**state, "retired": 4000000000}))
    wrong = keys.one("tend", key["domain"])
    assert wrong["waits_for"] == "clock" and "set the clock" in wrong["text"] and wrong["state"] == "retired"
    keys.state(key).write_text("{}")
    assert "is not the state of a key" in keys.one("list", key["domain"])["fault"]
    for arguments in (("show", "none.example.test"), ("show", "cut.example.test", "s9"), ("retire", "s9"), ("retire", "s1"),
                      ("add", "localhost"), ("add", "../up"), ("add", "a.example", "--selector", "../x"), ("list", "tls")):
        done = keys.run("dkim", *arguments, check=False)
        assert done.returncode == 65 and len(done.stderr.splitlines()) == 1, (arguments, done.stderr)
    assert keys.run("dkim", "add", "a.example", "--algorithm", "dsa", check=False).returncode == 64


def test_the_server_makes_the_keys_of_its_configuration(keys):
    for domain in ("example.test", "mx.example.org"):  # of the previous tests
        shutil.rmtree(keys.server.data / "keys" / domain, ignore_errors=True)
    server = keys.server.start()
    server.wait_log("key_state", "domain=example.test", "state=prepared", timeout=90)
    server.wait_log("key_state", "domain=mx.example.org")  # for the server's own reports
    assert keys.one("list", "example.test")["state"] == "prepared"
    assert not server.lines("chore_died") and not server.lines("keys_not_tended")
    done = keys.run("domain", "add", "late.example.test")  # while the server runs
    assert "p=" in done.stdout and done.stderr == ""
    assert keys.one("list", "late.example.test")["state"] == "prepared"
    server.stop()
