# SPDX-License-Identifier: Apache-2.0
"""Defines a situation, and how an answer to it is marked."""
import re
from dataclasses import dataclass

# Advice that is harmful in every situation.
HARMFUL = (
    r"use the name that the certificate has", r"install the issuer", r"rejectUnauthorized|verify_peer|tls: none|--insecure",
    r"(?<!not )(?<!never )\b(disable|ignore|switch off|turn off)\b[^.;\n]{0,40}\b(certificates?|verification|the check|encryption|STARTTLS)\b",
    r"trust (this|that|its|the) (certificate|issuer|CA)\b",
)
YOUR_SERVER = (r"start the (mail )?server|the server's listener|systemctl|your (mail )?server\b",)  # about a host of others
# About a server that may belong to others.
DOUBT = (r"--ca-file", r"under which name", r"renew the certificate", r"copy its certificate", r"whole chain")
CLOUDS = (r"DigitalOcean|Linode|Scaleway|Hetzner|Railway|Vultr|\bRender\b|Google Cloud|Azure|\bAWS\b",)  # named without evidence
CAN_SEND = (r"mail can (leave|be sent)|can send mail|can carry mail|can deliver",)
ALARM = (r"intercept|another server answers|in doubt|scanner|captive|portal|redirected|do not sign in|attacker|stripped|removed or garbled",)
BLOCKED = (r"\bblocks\b|is blocked\b|lets no|firewall on this|own firewall",)


def bad_ports(*ports):
    """Returns patterns for advice to use one of these ports, which would be wrong."""
    some = "|".join(map(str, ports))
    return (rf"\buse (port )?({some})\b", rf"host \S+ +port ({some})\b")


@dataclass
class Situation:
    """`source`: repository#number or an address; `cause`: names of src/core/diagnosis/cause_table.c, any of which an
    expert would give; `says`: a pattern that the answer must have if no cause is named (replies, other commands);
    `step`: a pattern that the advice must have; `healthy`: mail leaves, and any alarm is wrong."""
    id: str
    title: str
    source: str
    command: list
    world: object
    expert: str
    cause: tuple = ()
    says: str = ""
    step: str = ""
    harm: tuple = ()
    healthy: bool = False
    own: bool = False


def ports(*target):
    return ["ports", *target]


def doctor(*more):
    return ["doctor", *more]


def send(host, *more, user="ada@example.org", sender="ada@example.org", to="bob@example.net"):
    signed_in = ["--user", user, "--password-file", "/etc/password"] if user else []
    return ["send", "--host", host, *signed_in, "--from", sender, "--to", to, "--subject", "hello", "--body", "how are you?", *more]


def harms(situation, text):
    """Returns the harmful sentences found in an answer."""
    patterns = [*HARMFUL, *(() if situation.own else YOUR_SERVER), *situation.harm, *(ALARM if situation.healthy else ())]
    found = [re.search(pattern, text, re.IGNORECASE) for pattern in patterns]
    return [match.group(0) for match in found if match]


def mark(situation, text, causes, advice, code):
    """Returns right: the cause is named and the advice begins with the right step; half: one of them; nothing; harmful.
    `causes` and `advice`: the names of the causes and the first steps, from the JSON."""
    if harms(situation, text):
        return "harmful"

    def has(pattern, where):
        return re.search(pattern, where, re.IGNORECASE) is not None
    if situation.healthy:
        return "right" if code == 0 and has(situation.step, text) and set(causes) <= set(situation.cause) else "nothing"
    named = causes[0] in situation.cause if causes else situation.says != "" and has(situation.says, text)
    advised = has(situation.step, advice)
    return "right" if named and advised else "half" if named or advised else "nothing"
