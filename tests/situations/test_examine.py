# SPDX-License-Identifier: Apache-2.0
"""The facts about a host: each way an attempt can end, other hosts for comparison, and the time it takes."""
import json
import os
from pathlib import Path

import pytest

from certificates import Authority, Certificate
from servers import IMAP, PORTAL, SSH, Https, Smtp, banner, close, cut, http, mute, smtps
from world import Host, World, drop, no_host, refuse

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
BUILD = Path(os.environ.get("MAILBOAT", Path(__file__).resolve().parents[2] / "build" / "mailboat")).parent
EXAMINE = BUILD / "tests" / "examine" / "examine-facts"
FOUR, SIX = "93.184.215.14", "2606:2800:21f:cb07::14"
NOT, NO, YES = 0, 1, 2  # enum known
SILENT, REFUSED, UNREACHABLE, CONNECTED = 1, 2, 3, 4
NO_ROUTE, NO_HOST = 1, 2
(V_MUTE, V_CLOSED, V_RESET, V_SMTP, V_TLS, V_HTTP, V_SSH, V_IMAP, V_POP3) = range(1, 10)
(T_NONE, T_DONE, T_CLEAR, T_TIMED_OUT, T_CLOSED, T_RESET, T_VERSION) = range(7)
(C_VALID, C_EXPIRED, C_EARLY, C_OTHER, C_SELF, C_ISSUER) = range(1, 7)
CONTROLS, WEB = 1, 2


@pytest.fixture
def examine(tmp_path):
    """Examines mail.example.com in a world with these ports; returns the facts."""
    worlds = []

    def run(ports, *more, wanted="587", addresses=(FOUR,), host="mail.example.com", **options):
        target = Host("mail.example.com", *addresses, ports=ports, silent=options.pop("silent", ()))
        worlds.append(World(target, **options).up(tmp_path / f"w{len(worlds)}"))
        done = worlds[-1].run("mailboat", host, wanted, *more, program=EXAMINE)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    yield run
    for world in worlds:
        world.down()


def attempt(facts, port=587, address=FOUR, implicit=None):
    return next(a for a in facts["attempts"] if a["port"] == port and a["address"] == address and implicit in (None, bool(a["implicit"])))


def test_a_host_that_is_well(examine):
    facts = examine({587: Smtp()}, addresses=(FOUR, SIX))
    assert facts["took_ms"] < 3000 and not facts["controls"]
    assert {a["address"] for a in facts["attempts"]} == {FOUR, SIX}
    for seen in facts["attempts"]:
        assert (seen["reach"], seen["voice"], seen["tls"], seen["ready"]) == (CONNECTED, V_SMTP, T_DONE, YES)
        assert seen["greeting"] == "mail.example.com ESMTP Postfix" and seen["ehlo"].split("\n")[-1] == "STARTTLS"
        assert 10 <= seen["connect_ms"] <= seen["first_ms"] <= seen["took_ms"]
        assert seen["auth_offered"] == seen["auth_passwords"] == YES
        assert seen["tls_sent"] > 200 and seen["tls_received"] > 1000 and seen["tls_version"].startswith("TLSv1.")
        certificate = seen["certificate"]
        assert (certificate["state"], certificate["names_host"], certificate["chain_trusted"]) == (C_VALID, YES, YES)
        assert certificate["names"] == "mail.example.com" and certificate["chain"] == 2


@pytest.mark.parametrize("server, voice, tls", [
    (SSH, V_SSH, T_NONE), (IMAP, V_IMAP, T_NONE), (banner("+OK POP3 ready"), V_POP3, T_NONE), (PORTAL, V_HTTP, T_CLEAR),
    (http(first=True), V_HTTP, T_NONE), (mute, V_MUTE, T_NONE), (close, V_CLOSED, T_NONE), (cut, V_RESET, T_NONE),
    (Smtp("554 5.7.1 no service for you"), V_SMTP, T_NONE), (smtps(), V_TLS, T_DONE)])
def test_who_speaks(examine, server, voice, tls):
    facts = examine({587: server})
    last = [a for a in facts["attempts"] if a["port"] == 587 and a["address"] == FOUR][-1]
    assert last["reach"] == CONNECTED and (last["voice"], last["tls"]) == (voice, tls) if voice != V_MUTE else attempt(facts)["voice"] == V_MUTE
    if server is PORTAL:
        assert "login.hotel-wifi.example" in last["said"]
    assert facts["took_ms"] < 10000


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available due to local problem", "421 4.7.0 go away", "221 bye", "354 go on", "500 5.5.1 what?"])
def test_starttls_that_is_refused(examine, reply):
    seen = attempt(examine({587: Smtp(starttls=reply)}, "only-target"))
    assert seen["starttls_offered"] == YES and seen["starttls_code"] == int(reply[:3]) and seen["starttls_said"] == reply[4:]
    assert seen["tls"] == T_NONE and seen["ready"] == NO


@pytest.mark.parametrize("at_hello, tls", [("reset", T_RESET), ("close", T_CLOSED), ("text", T_CLEAR), ("mute", T_TIMED_OUT)])
def test_where_tls_ends(examine, at_hello, tls):
    facts = examine({587: Smtp(at_hello=at_hello), 465: smtps(at_hello=at_hello)}, "only-target", wanted="587,465")
    for port in (587, 465):
        seen = attempt(facts, port, implicit=port == 465)
        assert seen["tls"] == tls and seen["tls_sent"] > 100 and (seen["tls_received"] > 0) == (at_hello == "text"), seen
    assert facts["took_ms"] < 10000


def test_tls_that_is_too_old(examine):
    assert attempt(examine({587: Smtp(certificate=Certificate(old=True))}, "only-target"))["tls"] == T_VERSION


def test_what_a_firewall_masks(examine):
    seen = attempt(examine({587: Smtp(masked=True)}, "only-target"))
    assert seen["greeting_masked"] == seen["ehlo_masked"] == YES and seen["starttls_offered"] == NO


@pytest.mark.parametrize("certificate, state, named, trusted", [
    (Certificate(days=(-9, -1)), C_EXPIRED, YES, YES), (Certificate("other.example.org"), C_OTHER, NO, YES),
    (Certificate("other.example.org", days=(-9, -1)), C_OTHER, NO, YES), (Certificate(by="itself"), C_SELF, YES, NO),
    (Certificate(by=Authority("O=Fortinet, CN=FGT60F")), C_SELF, YES, NO),  # it sends its own root
    (Certificate(by=Authority("O=Fortinet, CN=FGT60F", Authority("O=Fortinet, CN=root"))), C_ISSUER, YES, NO)])
def test_each_fault_of_a_certificate_is_judged_apart(examine, certificate, state, named, trusted):
    seen = attempt(examine({465: smtps(certificate=certificate)}, "only-target", wanted="465"), 465)
    assert (seen["certificate"]["state"], seen["certificate"]["names_host"], seen["certificate"]["chain_trusted"]) == (state, named, trusted)
    assert seen["ready"] == NO and seen["certificate"]["issuer"] and seen["certificate"]["not_after_s"] > 0
    assert state != C_ISSUER or seen["certificate"]["issuer"] == "O=Fortinet, CN=FGT60F"
    assert "FGT60F" not in seen["certificate"]["issuer"] or trusted == NO


@pytest.mark.parametrize("rule, reach, kind", [(drop, SILENT, 0), (refuse, REFUSED, 0), (no_host, UNREACHABLE, NO_HOST)])
def test_how_it_is_not_reached(examine, rule, reach, kind):
    seen = attempt(examine({587: Smtp()}, "only-target", way=[rule(587)]))
    assert (seen["reach"], seen["unreachable"]) == (reach, kind)


def test_without_a_route(examine):
    seen = attempt(examine({587: Smtp()}, "only-target", addresses=(FOUR, SIX), ipv6="none"), address=SIX)
    assert (seen["reach"], seen["unreachable"]) == (UNREACHABLE, NO_ROUTE)


def test_a_dead_ipv6_beside_a_working_ipv4(examine):
    facts = examine({587: Smtp(), 443: Https(), 80: http()}, addresses=(SIX, FOUR), ipv6="dead")
    assert attempt(facts)["ready"] == YES and attempt(facts, address=SIX)["reach"] == SILENT
    assert facts["took_ms"] < 6000 and any(c["ready"] == YES for c in facts["controls"])


def test_all_addresses_are_examined(examine):
    many = [f"93.184.215.{n}" for n in range(20, 25)] + [f"2606:2800:21f:cb07::{n}" for n in range(20, 25)]
    facts = examine({587: Smtp()}, "only-target", addresses=many)
    assert len({a["address"] for a in facts["attempts"]}) == 8
    assert {":" in a["address"] for a in facts["attempts"]} == {False, True}


def test_a_network_that_blocks_is_seen_within_five_seconds(examine):
    facts = examine({587: Smtp(), 443: Https(), 80: http()}, wanted="25,587,2525,465", way=[drop(25, 465, 587, 2525)])
    assert all(a["reach"] == SILENT for a in facts["attempts"] + facts["controls"])
    assert {(c["host"], c["port"]) for c in facts["controls"]} == {
        ("smtp.gmail.com", 587), ("smtp.gmail.com", 465), ("smtp.sendgrid.net", 2525), ("smtp.sendgrid.net", 587), ("gmail-smtp-in.l.google.com", 25)}
    web = {w["port"]: w for w in facts["web"]}
    assert web[443]["tls"] == T_DONE and web[443]["certificate"]["state"] == C_VALID and web[80]["reach"] == CONNECTED
    assert facts["web_elsewhere"] == YES and facts["took_ms"] < 6000


def test_controls_are_not_of_the_targets_own_provider(examine):
    facts = examine({}, wanted="587,465", host="smtp.gmail.com", way=[drop(25, 465, 587)])
    assert facts["controls"] and {c["host"] for c in facts["controls"]} == {"smtp.sendgrid.net"}


def test_nobody_else_is_called_where_only_the_target_is_meant(examine):
    facts = examine({587: Smtp()}, "only-target", way=[drop(587)])
    assert not facts["controls"] and facts["web_elsewhere"] == NOT and not facts["gathered"] & CONTROLS


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.168.1.23"])
def test_nobody_else_is_called_for_this_machine(examine, host):
    facts = examine({587: Smtp()}, host=host)
    assert facts["own"] == YES and not facts["controls"] and not facts["web"] and not facts["gathered"] & (CONTROLS | WEB)


def test_ports_that_were_not_asked_for_are_looked_at(examine):
    facts = examine({25: Smtp(), 465: smtps(), 2525: Smtp()}, wanted="587", way=[drop(587)])
    assert {a["port"] for a in facts["attempts"]} == {25, 465, 587, 2525}
    assert attempt(facts, 2525)["ready"] == YES and facts["took_ms"] < 10000


def test_a_host_that_greets_late_is_waited_for(examine):
    facts = examine({587: Smtp(greet_after=4)}, "only-target")
    assert attempt(facts, implicit=False)["ready"] == YES and facts["took_ms"] < 10000
