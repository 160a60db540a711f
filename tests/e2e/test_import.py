# SPDX-License-Identifier: Apache-2.0
"""Migration from Postfix and Dovecot: their own programs read the files."""
import json
import shutil
import smtplib
import subprocess

import pytest

from mailboat import run, smtp
from peers import postfix_environment, postfix_folder

KEPT = ("SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "MD5-CRYPT", "CRYPT")
FOREIGN = ("ARGON2ID", "SSHA512", "SSHA", "PBKDF2")


def doveadm(scheme, password):
    if shutil.which("doveadm") is None:
        pytest.skip("doveadm is not installed")
    return subprocess.run(["doveadm", "pw", "-s", scheme, "-p", password], check=True, capture_output=True, text=True).stdout.strip()


def postfix(program, *arguments):
    done = subprocess.run([str(postfix_folder() / "usr/sbin" / program), *map(str, arguments)], env=postfix_environment(), capture_output=True, text=True)
    assert done.returncode in (0, 1) and "fatal" not in done.stderr, done.stderr
    return done.stdout.rstrip("\n")


@pytest.fixture
def old_server(tmp_path):
    """The files of a Postfix and a Dovecot."""
    folder = tmp_path / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text(f"""# what a Debian machine has
compatibility_level = 3.6
mail_owner = daemon
setgid_group = bin
myhostname = mail.example.org
mydomain = example.org
myorigin = {folder}/mailname
mydestination = $myhostname, $mydomain, second.example,
    localhost.$mydomain, localhost
virtual_alias_domains = virt.example, old.example
virtual_alias_maps = texthash:{folder}/virtual
virtual_mailbox_domains = texthash:{folder}/domains
virtual_mailbox_maps = proxy:texthash:{folder}/vmailbox, pcre:{folder}/patterns
alias_maps = texthash:{folder}/none
relayhost = [smtp.provider.example]:587
smtp_sasl_password_maps = texthash:{folder}/sasl
transport_maps = texthash:{folder}/transport
smtpd_sender_login_maps = texthash:{folder}/logins
mynetworks = 127.0.0.0/8, [::1]/128, 192.0.2.0/24
header_checks = pcre:{folder}/checks
message_size_limit = 20000000
""")
    (folder / "mailname").write_text("example.org\n")
    (folder / "none").write_text("")
    (folder / "domains").write_text("boxes.example  OK\n")
    (folder / "vmailbox").write_text("bob@boxes.example boxes/bob/\n@boxes.example boxes/rest/\n")
    (folder / "virtual").write_text("# virtual\ninfo@virt.example  ada@example.org, bob@boxes.example\nall@virt.example\n  ada,\n  eve@elsewhere.example\n"
                                    "@old.example @example.org\n@virt.example ada\nada@example.org ada@example.org\nlost@virt.example ghost@example.org\n"
                                    "one@virt.example two@virt.example\ntwo@virt.example one@virt.example\n")
    (folder / "sasl").write_text("[smtp.provider.example]:587 relay@example.org:secret:word\n")
    (folder / "transport").write_text("slow.example smtp:[192.0.2.9]:2525\n.sub.example smtp:[mx.inside.example]\nfax.example fax:\nx@y.example smtp:[192.0.2.1]\n")
    (folder / "logins").write_text("sales@example.org ada, bob@boxes.example\n")
    (folder / "staff").write_text("# staff\nada\nbob@boxes.example, eve@elsewhere.example\n")
    (folder / "aliases").write_text(f"postmaster: root\nroot: ada\nstaff: :include:{folder}/staff\njunk: /dev/null\nprog: \"|/usr/bin/vacation ada, x\"\n"
                                    "arc: /var/mail/arc\nteam: staff, Bob B. <bob@boxes.example>\nmissing: :include:/nowhere/list\n")
    main_cf = folder / "main.cf"
    main_cf.write_text(main_cf.read_text().replace(f"texthash:{folder}/none", f"hash:{folder}/aliases"))
    (folder / "users").write_text("".join(f"{scheme.lower()}@example.org:{doveadm(scheme, 'secret of ' + scheme)}::::::\n" for scheme in KEPT + FOREIGN + ("PLAIN",)) +
                                  f"ada:{doveadm('SHA512-CRYPT', 'of ada')}:1000:1000::/home/ada::userdb_quota_rule=*:storage=1G\n")
    return folder


def take_over(server, folder, *arguments, **options):
    return json.loads(server.cli("import", "postfix", "--main-cf", folder / "main.cf", "--dovecot", folder / "users", "--json", *arguments, **options).stdout)


def rows(server, what):
    return json.loads(server.cli(what, "list", "--json").stdout)


def names(told, key="address"):
    return {entry[key] for entry in told if entry["action"] == "add"}


def test_a_postfix_and_a_dovecot_move_in(mailboat, old_server):
    server = mailboat()
    told = take_over(server, old_server, "--dry-run")
    assert told["done"] is False and rows(server, "user") == [] and rows(server, "alias") == []
    # Postfix's own reading of its files
    assert postfix("postconf", "-c", old_server, "-xh", "mydestination") == "mail.example.org, example.org, second.example, localhost.example.org, localhost"
    assert names(told["domains"], "name") == {"mail.example.org", "second.example", "virt.example", "old.example", "boxes.example"}
    aliases = {(a["address"], a["target"]) for a in told["aliases"] if a["action"] == "add"}
    for address in ("info@virt.example", "all@virt.example"):
        meant = {t if "@" in t else t + "@example.org" for t in postfix("postmap", "-c", old_server, "-q", address, f"texthash:{old_server}/virtual").replace(" ", "").split(",")}
        assert {target for name, target in aliases if name == address} == meant
    assert {("@old.example", "@example.org"), ("@second.example", "@example.org"), ("@mail.example.org", "@example.org"), ("@virt.example", "ada@example.org"),
            ("staff@example.org", "ada@example.org"), ("staff@example.org", "bob@boxes.example"), ("staff@example.org", "eve@elsewhere.example"),
            ("team@example.org", "staff@example.org"), ("team@example.org", "bob@boxes.example"), ("postmaster@example.org", "root@example.org")} <= aliases
    left_out = {entry["address"]: entry["reason"] for entry in told["left_out"]}
    for address, reason in [("junk@example.org", "/dev/null"), ("prog@example.org", "|/usr/bin/vacation ada, x"), ("arc@example.org", "/var/mail/arc"), ("lost@virt.example", "not a user or alias"),
                            ("one@virt.example", "leads back"), ("missing@example.org", "/nowhere/list"), ("mynetworks", "192.0.2.0/24"), ("header_checks", "pcre:"), ("fax.example", "'fax'"),
                            ("virtual_mailbox_maps", "pcre:"), ("@boxes.example", "mailbox for all")]:
        assert reason in left_out[address], (address, left_out.get(address))
    assert next(e for e in told["left_out"] if e["address"] == "prog@example.org")["line"] == 5
    passwords = {user["address"].split("@")[0]: user["password"] for user in told["users"]}
    assert passwords == {**{s.lower(): "kept" for s in KEPT}, **{s.lower(): "none" for s in FOREIGN}, "plain": "hashed", "ada": "kept", "bob": "none"}

    told = take_over(server, old_server)
    assert told["done"] is True
    again = take_over(server, old_server)
    assert all(entry["action"] == "exists" for kind in ("domains", "users", "aliases") for entry in again[kind])
    # users sign in with their previous passwords
    for scheme in KEPT + ("PLAIN",):
        with smtp(server, 587, user=f"{scheme.lower()}@example.org", password=f"secret of {scheme}"):
            pass
    for password in ("secret of ARGON2ID", "*", ""):
        with smtp(server, 587) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("argon2id@example.org", password)
    # mail arrives
    with smtp(server, 25) as client:
        client.sendmail("sam@there.net", ["info@virt.example", "ada@old.example", "argon2id@example.org", "postmaster@mail.example.org"], "Subject: moved\r\n\r\nhi\r\n")
        for gone in ("junk@example.org", "ghost@old.example", "lost2@second.example"):
            assert client.mail("sam@there.net")[0] == 250 and client.rcpt(gone)[0] == 550
            client.rset()
    for address in ("ada@example.org", "bob@boxes.example", "argon2id@example.org"):
        assert server.arrivals(address, "moved")


def test_names_with_spaces_and_lists_in_odd_places(mailboat, tmp_path):
    """As sendmail and Postfix read them: quotes, backslashes, and a space or quotes after :include:."""
    server = mailboat()
    server.add_user("jdoe@example.org", "secret-of-j")
    (tmp_path / "list of all").write_text("info@outside.example\n")
    (tmp_path / "aliases").write_text(f'''"john doe": jdoe
john\\ smith : jdoe
"a:b": "john doe"
"the \\"q\\"": jdoe
l1: :include: "{tmp_path}/list of all"
l2: jdoe, :include:"{tmp_path}/list of all"
''')
    told = json.loads(server.cli("import", "aliases", tmp_path / "aliases", "--domain", "example.org", "--json").stdout)
    assert told["left_out"] == [] and told["done"] is True
    with smtp(server, 25) as client:
        client.ehlo()
        for name in ('"john doe"', '"john smith"', '"a:b"', '"the \\"q\\""', "l2"):
            assert client.docmd("MAIL", "FROM:<sam@there.net>")[0] == 250
            assert client.docmd("RCPT", f"TO:<{name}@example.org>")[0] == 250, name
            client.rset()
        client.sendmail("sam@there.net", ['"john smith"@example.org'], "Subject: quoted\r\n\r\nhi\r\n")
    assert server.arrivals("jdoe@example.org", "quoted")
    assert '"john smith"@example.org' in server.cli("alias", "list").stdout
    (tmp_path / "virtual").write_text('"jane roe"@example.org jdoe@example.org\n"mary roe@example.org" jdoe@example.org\n')
    told = json.loads(server.cli("import", "virtual", tmp_path / "virtual", "--json").stdout)
    assert told["left_out"] == [] and len([a for a in told["aliases"] if a["action"] == "add"]) == 2


def test_the_printed_configuration_is_one(mailboat, old_server, tmp_path):
    server = mailboat()
    printed = take_over(server, old_server, "--dry-run")["configuration"]
    secret = tmp_path / "secret"
    secret.write_text("secret:word\n")
    secret.chmod(0o600)
    config = tmp_path / "new.conf"
    config.write_text(f"hostname: mx.example.org\ndata_dir: {tmp_path}/data\n" + printed.replace("/etc/mailboat/smarthost.password", str(secret)))
    shown = run("config", "show", "--config", config).stdout
    for part in ("smtp.provider.example", "587", "slow.example", "192.0.2.9", "2525", "*.sub.example", "ada@example.org sales@example.org", "bob@boxes.example sales@example.org", "20000000"):
        assert part in shown, (part, shown)


def test_nothing_is_changed_where_something_is_wrong(mailboat, old_server):
    server = mailboat()
    (old_server / "virtual").unlink()
    done = server.cli("import", "postfix", "--main-cf", old_server / "main.cf", check=False)
    assert done.returncode == 66 and "virtual_alias_maps" in done.stderr and done.stderr.count("\n") == 1 and rows(server, "user") == []
    for arguments, code in (["postfix", "--main-cf", "/nowhere"], 66), (["dovecot"], 64), (["exim"], 64), (["aliases", old_server / "aliases", "--domain", "not a domain"], 64):
        assert server.cli("import", *arguments, check=False).returncode == code, arguments
    server.cli("import", "aliases", old_server / "aliases", "--domain", "elsewhere.net")
    assert rows(server, "alias") == []


def test_users_and_aliases_alone_without_a_server(mailboat, old_server):
    server = mailboat()
    server.stop()
    server.cli("import", "dovecot", old_server / "users")
    text = server.cli("import", "aliases", old_server / "aliases").stdout
    assert "postmaster@example.org -> root@example.org" in text and "left out:" in text and text.endswith("Done.\n")
    server.start()
    with smtp(server, 587, user="ada@example.org", password="of ada"):
        pass


def test_files_as_they_are_found(mailboat, tmp_path):
    """Tables named by their directory, lists that include themselves, a byte order mark, and docker-mailserver's accounts."""
    server = mailboat()
    folder = tmp_path / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text("myhostname = mail.example.org\nmydestination = example.org\nmyorigin = example.org\nalias_database = hash:${config_directory}/aliases\n"
                                    "virtual_alias_domains = virt.example\nvirtual_alias_maps = texthash:$config_directory/virtual\nmynetworks = 10.0.0.0/8\n")
    (folder / "virtual").write_text("info@virt.example ada@example.org\n")
    (folder / "aliases").write_text(f"list: :include:{folder}/list\n")
    (folder / "list").write_text("ada\n" + f":include:{folder}/list\n" * 10 + f":include:{folder}/other\n")
    (folder / "other").write_text(f"eve@elsewhere.net\n:include:{folder}/list\n")
    (folder / "users").write_text("\ufeffada@example.org|{PLAIN}of ada\nbob@example.org:\n", encoding="utf-8")
    told = take_over(server, folder)
    assert {(a["address"], a["target"]) for a in told["aliases"] if a["action"] == "add"} == {
        ("info@virt.example", "ada@example.org"), ("list@example.org", "ada@example.org"), ("list@example.org", "eve@elsewhere.net")}
    assert [entry["reason"].rpartition(": ")[2] for entry in told["left_out"] if entry["address"] == "list@example.org"] == ["it includes itself"] * 11
    assert any("submission.trusted" in entry["reason"] for entry in told["left_out"] if entry["address"] == "mynetworks")
    assert [(user["address"], user["password"], user["scheme"]) for user in told["users"]] == [("ada@example.org", "hashed", "PLAIN"), ("bob@example.org", "none", "")]
    with smtp(server, 587, user="ada@example.org", password="of ada"):
        pass


# ---- stored passwords of single users ----

def test_a_hash_is_taken_as_a_hash_where_the_command_says_so(mailboat):
    server = mailboat()
    stored = doveadm("SHA512-CRYPT", "of ada")
    for verb in ("add", "passwd"):
        refused = server.cli("user", verb, "ada@example.org", "--password-stdin", text_input=stored + "\n", check=False)
        assert refused.returncode == 65 and "--hash" in refused.stderr and refused.stderr.count("\n") == 1 and "$6$" not in refused.stderr
    assert rows(server, "user") == []
    server.cli("user", "add", "ada@example.org", "--hash", "--password-stdin", text_input=stored + "\n")
    server.cli("user", "add", "eve@example.org", "--password-stdin", text_input="{smile}secret\n")
    with smtp(server, 587, user="ada@example.org", password="of ada"), smtp(server, 587, user="eve@example.org", password="{smile}secret"):
        pass
    bare = doveadm("BLF-CRYPT", "new of ada").split("}")[1]
    server.cli("user", "passwd", "ada@example.org", "--hash", "--password-stdin", text_input=bare + "\n")
    with smtp(server, 587, user="ada@example.org", password="new of ada"):
        pass
    for wrong in (doveadm("ARGON2ID", "x"), "{SHA512-CRYPT}$6$short", "a password", "{PLAIN}word"):
        refused = server.cli("user", "passwd", "ada@example.org", "--hash", "--password-stdin", text_input=wrong + "\n", check=False)
        assert refused.returncode == 65 and "crypt(3)" in refused.stderr, wrong
    for stored in (doveadm("ARGON2ID", "x"), "{PLAIN}word"):
        assert server.cli("user", "passwd", "ada@example.org", "--password-stdin", text_input=stored + "\n", check=False).returncode == 65


# ---- alias domains ----

def test_a_domain_is_another_one(mailboat):
    server = mailboat()
    for name in ("ada", "bob"):
        server.add_user(f"{name}@example.org", "secret")
    server.cli("domain", "add", "old.example", "--same-as", "example.org")
    server.cli("domain", "add", "older.example", "--same-as", "old.example")
    server.cli("alias", "add", "bob@old.example", "ada@example.org")
    assert {"address": "@old.example", "target": "@example.org"} in rows(server, "alias")
    with smtp(server, 25) as client:
        client.sendmail("sam@there.net", ["ADA+x@older.example"], "Subject: one\r\n\r\nhi\r\n")
        client.sendmail("sam@there.net", ["bob@old.example"], "Subject: two\r\n\r\nhi\r\n")
        client.mail("sam@there.net")
        assert client.rcpt("ghost@old.example")[0] == 550 and client.rcpt("ghost@older.example")[0] == 550
        assert client.rcpt("postmaster@older.example")[0] == 250
    assert server.arrivals("ada@example.org", "one") and server.arrivals("ada@example.org", "two")
    # users may send there only as addresses whose mail they get; ada gets that of bob@old.example
    with smtp(server, 587, user="bob@example.org", password="secret") as client:
        assert client.mail("bob@older.example")[0] == 550 and client.mail("ada@old.example")[0] == 550
    with smtp(server, 587, user="ada@example.org", password="secret") as client:
        for sender in ("ada@old.example", "ada+x@older.example", "bob@old.example"):
            assert client.mail(sender)[0] == 250, sender
            client.rset()
    for arguments in (["domain", "add", "example.org", "--same-as", "older.example"], ["domain", "add", "new.example", "--same-as", "nowhere.example"], ["alias", "add", "@old.example", "ada@example.org"],
                      ["alias", "add", "@old.example", "@older.example"], ["alias", "add", "bob@example.org", "@old.example"], ["domain", "add", "x.example", "--same-as", "x.example"]):
        refused = server.cli(*arguments, check=False)
        assert refused.returncode == 65 and refused.stderr.count("\n") == 1, (arguments, refused)
    server.cli("alias", "remove", "@old.example")
    with smtp(server, 25) as client:
        client.ehlo()
        client.mail("sam@there.net")
        assert client.rcpt("ada@old.example")[0] == 550 and client.rcpt("bob@old.example")[0] == 250
