# SPDX-License-Identifier: Apache-2.0
"""A second collection, searched out and answered by hand before the program was tried on it."""
import datetime
import itertools
import json
import time

from certificates import PUBLIC, ROOT, Authority, Certificate, issue, name_of
from servers import Https, Smtp, close, http, smtps
from situation import CLOUDS, Situation, bad_ports, doctor, ports, send
from table_account import PASSWORD, only, replies, service
from table_healthy import USE_465, USE_587, well
from table_network import mail_host
from world import GMAIL, MACHINE, Host, World, drop, gmail, refuse

GREYLIST = (r"greylist", r"try again in some minutes")
NO_ALARM = (r"do not sign in", r"intercept", r"captive", r"rest of the world")
GMAIL_RELAY = GMAIL.changed(greeting="220 smtp-relay.gmail.com ESMTP f10sm1a4899ejl.97 - gsmtp")


def relay(**said):
    return World(mail_host("relay.corp.example", "163.172.11.5", server=replies(**said)))


def banned_state(host, user):
    """The state file of a machine whose password this host has rejected a minute ago."""
    now = int(time.time())
    return json.dumps({"refused": {f"{host} {user}": {"at": now - 60}}, "calls": {host: {"hour": now // 3600, "count": 9, "before": 0}}})


class CrossSigned:
    """A chain whose last certificate is signed by a root that has expired: ISRG Root X1 by DST Root CA X3."""

    def __init__(self):
        self.name, self.key, self.parent = PUBLIC.name, PUBLIC.key, ROOT
        old = Authority("O=Digital Signature Trust Co., CN=DST Root CA X3 (test)")
        self.cross = issue(ROOT.name, old.name, ROOT.key, old.key, ca=True, days=(-2000, -60))

    def chain(self, root):
        return [PUBLIC.certificate, self.cross]


ROUTER = Certificate("fritz.box", "www.fritz.box", "myfritz.box", by="itself")

SECOND_NAMES = [
    Situation("name-blocker", "a blocker of names gives 0.0.0.0", "AdguardTeam/AdguardFilters#102260", ports("smtp.mail.ru"),
              World(Host("smtp.mail.ru", "217.69.139.160", ports={587: Smtp(), 465: smtps()}, rest="silent"), resolver={"smtp.mail.ru": ["0.0.0.0", "::"]}),
              "The resolver blocks the name: permit it there.", ("address-impossible", "dns-lies", "name-blocked"), step="resolver", harm=(*CLOUDS, r"captive", r"sign in to this network", *bad_ports(25, 465, 587))),
    Situation("hosts-file", "/etc/hosts maps the name to 127.0.1.1", "mjl-/mox#37", ports("mail.example.org"),
              World(mail_host("mail.example.org", "95.216.88.9"), files=(("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 mail.example.org mail\n"),)),
              "The hosts file of this machine sends the name to itself: remove the line.", ("hosts-file", "address-impossible", "not-listening-here", "listens-on-loopback", "dns-lies"), step=r"/etc/hosts", harm=(*CLOUDS, r"captive"), own=True),
    Situation("internal-relay", "an internal relay, known to the internal resolver only, listens on 25 alone", "juanluisbaptiste/docker-postfix#51", ports("smtp.mydomain.intranet"),
              World(Host("smtp.mydomain.intranet", "192.168.5.1", ports={25: Smtp(auth=None)}), resolvers={"smtp.mydomain.intranet": "nxdomain"}),
              "It takes mail on 25 without signing in, as internal relays do: name port 25.", ("internal-relay", "receives-only", "not-listening"), step=r"port 25|:25|operator|name", harm=(*CLOUDS, *NO_ALARM, *bad_ports(465, 587))),
    Situation("name-invented", "an internet provider's resolver invents an address for a name that does not exist", "sindresorhus/is-reachable#40", ports("smtp.mycompny.example"),
              World(Host("assist.isp.example", "198.105.244.11", ports={80: http(), 443: Https()}, rest="silent"), resolver={"smtp.mycompny.example": ["198.105.244.11"]}, resolvers={"smtp.mycompny.example": "nxdomain"}),
              "There is no such name: compare it with the provider's; the resolver hides that.", ("name-invented", "name-unknown", "dns-lies"), step="name", harm=(*CLOUDS, r"captive", *bad_ports(25, 465, 587))),
    Situation("private-vpn", "a private address, and the VPN is down", "docker/for-win#43", ports("mail.hq.example"),
              World(Host("mail.hq.example", "10.11.79.12", ports={25: Smtp(auth=None), 587: Smtp()}), resolvers={"mail.hq.example": "nxdomain"}, way=[drop(to="10.11.79.12")]),
              "A private address: join its network first.", ("private-host", "host-down"), step="VPN|network", harm=(*CLOUDS, *NO_ALARM, *bad_ports(25, 465, 587))),
    Situation("hairpin", "the public name of one's own server, from within: the router answers", "thunderbird/thunderbird-android#2565", ports("mail.darose.example"),
              World(Host("mail.darose.example", "84.112.7.19", ports={443: Https(ROUTER), 80: Https(ROUTER)})),
              "The router answers in the server's place (no NAT loopback): use the internal address, or test from outside.", ("router-answers",), step=r"router|inside|internal", harm=(*CLOUDS, *bad_ports(25, 465, 587))),
    Situation("two-hosts", "IPv4 and IPv6 lead to two servers", "docker-mailserver/docker-mailserver#3955", ports("server.fleck.example"),
              World(mail_host("server.fleck.example", "185.245.61.31"), Host("server.fleck.example", "2a00:ccc1:101:1aa::1", ports={
                  25: Smtp(certificate=Certificate("kundenserver-42.hoster.example")), 587: Smtp(certificate=Certificate("kundenserver-42.hoster.example")),
                  465: smtps(certificate=Certificate("kundenserver-42.hoster.example")), 443: Https(Certificate("kundenserver-42.hoster.example"))})),
              "Over IPv6 another server answers: its AAAA record is wrong.", ("two-hosts", "ipv6-broken", "certificate-name", "intercepted"), step=r"IPv6|AAAA", harm=CLOUDS),
    Situation("wildcard-depth", "a wildcard certificate, one level too high", "docker-mailserver/docker-mailserver#1341", ports("mail.srv1.smitpatel.example"),
              World(mail_host("mail.srv1.smitpatel.example", "163.172.11.6", server=Smtp(certificate=Certificate("*.smitpatel.example", "smitpatel.example")))),
              "A wildcard stands for one label: the operator names the right host or certificate.", ("certificate-name",), step=r"under which name|operator", harm=CLOUDS),
]

def with_smarthost(host, port="auto"):
    """Returns the files of a machine that is configured to send through a smarthost."""
    config = f"hostname: web01.example.org\ndata_dir: /var/lib/mailboat\ndomains: [example.org]\nrelay: {{via: smarthost, smarthost: {{host: {host}, port: {port}, user: apikey, password_file: /etc/password}}}}\n"
    return (("etc/mailboat/mailboat.conf", config),)


SECOND_NETWORK = [
    Situation("smarthost-well", "25 is blocked, and the configured smarthost can be used", "mattermost/mattermost#64", doctor(), World(way=[drop(25)], files=with_smarthost("smtp.sendgrid.net")),
              "Mail leaves through the smarthost.", ("port-25-blocked",), says="leaves through the smarthost", step="587", harm=(*CLOUDS, r"let a smarthost deliver", r"use a smarthost", r"cannot be used"), own=True),
    Situation("smarthost-blocked", "the configured smarthost's port is blocked in a company, others are open", "namshi/docker-smtp#36", doctor(), World(way=[drop(587, to="167.89.115.53")], files=with_smarthost("smtp.sendgrid.net", 587)),
              "The smarthost cannot be reached on 587 from here: 2525 or 465 of it.", ("router-list", "ports-blocked", "server-firewall"), says="587 does not work", step="2525|465|ask", harm=(*CLOUDS, r"leaves through the smarthost", *bad_ports(587)), own=True),
    Situation("nothing-leaves", "a cluster's firewall lets nothing out, neither mail nor the web", "mysticaltech/terraform-hcloud-kube-hetzner#931", ports("smtp.gmail.com"),
              World(way=[drop(25, 80, 443, 465, 587, 2525)], container=True), "An egress rule of the cluster or cloud: open the ports there.", ("all-ports-blocked", "no-network"), step="ask whoever|network", harm=(*CLOUDS, r"web ports are not blocked", *bad_ports(465, 587))),
    Situation("banned-rst", "a ban that answers with RST after rejected passwords", "docker-mailserver/docker-mailserver#1937", ports("mail.redskate.example"),
              World(mail_host("mail.redskate.example", "148.251.9.40"), way=[refuse(25, 143, 465, 587, 993, 2525, to="148.251.9.40")], environment={"XDG_STATE_HOME": "/var/state"},
                    files=(("var/state/mailboat/history.json", banned_state("mail.redskate.example", "0123456789abcdef")),)),
              "Refused right after rejected passwords: perhaps a ban; correct them, wait, or have it lifted.", ("banned", "server-firewall", "host-rejects"), step="banned|another network", harm=CLOUDS),
    Situation("mesh", "the sidecar of a service mesh accepts in every server's place", "istio/istio#9379", ports("in-v3.mailjet.com"),
              World(Host("in-v3.mailjet.com", "104.199.96.85", ports={25: Smtp(), 587: Smtp(), 2525: Smtp(), 465: smtps()}), redirect_here=(25, 465, 587, 2525), local={port: close for port in (25, 465, 587, 2525)},
                    local_at="0.0.0.0", container=True),
              "A proxy on this machine (a service mesh's sidecar) accepts and closes: exclude the mail ports there.", ("redirected", "local-proxy"), step="exclude|proxy|mesh|lift", harm=(*CLOUDS, *bad_ports(25, 465, 587, 2525))),
    Situation("client-first", "no greeting before the client speaks", "mjl-/mox#275", ports("mail.axillis.example"),
              World(only("mail.axillis.example", lambda connection, host, scanner=None: connection.recv(10) and Smtp()(connection, host))),
              "Something between waits for the client to speak, as proxies for the web do: another network, the operator.", ("mute",), step="again|another network", harm=(*CLOUDS, r"web server answers", r"captive")),
    Situation("tls-mute", "TLS stands on 465, and no greeting follows", "home-assistant/core#127660", ports("mail.eejit.example"),
              World(Host("mail.eejit.example", "163.172.11.7", ports={465: smtps(greet_after=40), 443: Https()})),
              "The server accepts TLS and says nothing: overloaded, or a proxy without a server behind it.", ("mute", "slow"), step="again|operator|another network", harm=(*CLOUDS, r"MTU")),
    Situation("server-25", "25 of another server times out at home", "docker-mailserver/docker-mailserver#234", ports("gmail-smtp-in.l.google.com:25"), World(way=[drop(25)], ipv6="none"),
              "25 is blocked here: a smarthost on 587.", ("port-25-blocked",), step="smarthost|587", harm=CLOUDS),
    Situation("bad-ptr", "a reverse name that leads nowhere", "iredmail/iRedMail#156", ports("mx1.free.example:25"),
              World(Host("mx1.free.example", "212.27.48.6", ports={25: Smtp("421 Refused. Your reverse DNS entry does not resolve to an IP.")}, rest="silent")),
              "A reverse DNS name that resolves back.", ("reverse-dns",), step="reverse", harm=(*CLOUDS, *GREYLIST)),
    Situation("ehlo-421", "Google's relay rejects the name in EHLO with 421", "go-mail/mail#63", ports("smtp-relay.gmail.com"),
              World(Host("smtp-relay.gmail.com", "142.250.102.28", ports={port: GMAIL_RELAY.changed(replies={"EHLO": "421 4.7.0 Try again later, closing connection. (EHLO) f10sm1a4899ejl.97 - gsmtp"}) for port in (25, 587)} |
                         {465: smtps(GMAIL_RELAY, replies={"EHLO": "421 4.7.0 Try again later, closing connection. (EHLO) f10sm1a4899ejl.97 - gsmtp"})}, rest="silent")),
              "Greet with a full host name of one's own.", ("helo",), step="name", harm=(*CLOUDS, *GREYLIST)),
]

SECOND_ACCOUNT = [
    Situation("tls-not-seen", "the server asks for STARTTLS where TLS stands", "apache/hertzbeat#2365", send("relay.corp.example"),
              relay(MAIL="451 5.7.3 STARTTLS is required to send mail"), "TLS ends at a proxy before the server, which sees none: its operator.", ("tls-not-seen",), step="operator", harm=(*PASSWORD, *GREYLIST)),
    Situation("tls-channel", "the server wants another TLS than the one that stands", "catatnight/docker-postfix#12", send("relay.corp.example"),
              relay(RCPT="454 4.7.0 Failed to establish appropriate TLS channel: Access Denied"), "The server's policy on TLS is not met: its operator.", ("tls-not-seen",), step="operator", harm=(*PASSWORD, *GREYLIST, r"check the recipient")),
    Situation("helo-at-rcpt", "the name in EHLO is rejected at RCPT", "mailcow/mailcow-dockerized-docs#455", send("relay.corp.example"),
              relay(RCPT="504 5.5.2 <NPIF65E56>: Helo command rejected: need fully-qualified hostname"), "Greet with a full host name.", ("helo",), step="host name", harm=(*PASSWORD, r"check the recipient")),
    Situation("helo-not-found", "the name in EHLO is not in DNS", "chatmail/core#1847", send("relay.corp.example"),
              relay(RCPT="450 4.7.1 <web01.localdomain>: Helo command rejected: Host not found"), "Greet with a full host name that is in DNS.", ("helo",), step="host name", harm=(*PASSWORD, *GREYLIST, r"check the recipient")),
    Situation("ptr-at-rcpt", "a printer on 25 without a reverse name", "mailcow/mailcow-dockerized#2517", send("relay.corp.example", user=None),
              relay(RCPT="450 4.7.1 Client host rejected: cannot find your reverse hostname, [203.0.113.4]"), "Sign in on 587, or a reverse name.", ("reverse-dns", "not-signed-in"), step="sign in|reverse", harm=GREYLIST),
    Situation("client-rejected", "the client is rejected, as it has not signed in", "opendistro-for-elasticsearch/alerting#329", send("relay.corp.example", user=None),
              relay(RCPT="554 5.7.1 <unknown[10.156.186.2]>: Client host rejected: Access denied"), "Sign in.", ("not-signed-in", "relay-denied"), step="sign in", harm=(r"check the recipient",)),
    Situation("client-rejected-signed-in", "the client is rejected although it has signed in", "bokysan/docker-postfix#225", send("relay.corp.example"),
              relay(RCPT="554 5.7.1 <host.example.com[10.1.2.3]>: Client host rejected: Access denied"), "The server permits only some addresses: its operator.", ("address-not-allowed",), step="address|operator", harm=(r"check the recipient", *PASSWORD)),
    Situation("sandbox", "Mailgun's sandbox permits only known recipients", "swapmyvote/swapmyvote#891", send("smtp.mailgun.org"),
              service("smtp.mailgun.org", "34.160.157.95", DATA="421 Domain app7957d1f9157248c0963145da35aa903b.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings."),
              "A domain of one's own, or the recipient in the account's settings.", ("account-off", "sender"), step="settings|activated|domain", harm=(*PASSWORD, *GREYLIST)),
    Situation("credits", "SendGrid's credits are used up", "mautic/mautic#8721", send("smtp.sendgrid.net"),
              service("smtp.sendgrid.net", "167.89.115.53", AUTH="451 Authentication failed: Maximum credits exceeded"), "The plan's quota is used up: wait for the next period, or a larger plan.", ("limit",), step="wait|plan|quota", harm=PASSWORD),
    Situation("limit-at-data", "a limit of recipients a day", "deltachat/deltachat-core#647", send("relay.corp.example"),
              relay(DATA="554 5.7.1 <DATA>: Data command rejected: limit of 400 rcpts per 24 hours for client ada@example.org reached"), "The provider's daily limit: wait.", ("limit",), step="wait", harm=(*PASSWORD, r"see the server's reply")),
    Situation("mailbox-full", "the recipient's mailbox is full", "chatmail/relay#21", send("relay.corp.example"),
              relay(END="552 5.2.2 <bob@example.net> Quota exceeded (mailbox for user is full)"), "The recipient makes room.", ("mailbox-full", "recipient"), step="recipient", harm=(r"fewer connections", r"check the recipient's address", r"message smaller")),
    Situation("server-full", "the server's disk is full", "muquit/mailsend#15", send("relay.corp.example"),
              relay(MAIL="452 4.3.1 Insufficient system storage"), "The server has no room: its operator.", ("server-full",), step="operator|room", harm=(r"greylist", *PASSWORD, r"own address as the sender")),
    Situation("gsuite-relay", "Google's relay does not know this address", "Ombi-app/Ombi#1442", send("smtp-relay.gmail.com", user="ada@gmail.com", sender="ada@gmail.com"),
              World(Host("smtp-relay.gmail.com", "142.250.102.28", ports={587: GMAIL_RELAY.changed(replies={"RCPT": "550 5.7.0 Mail relay denied [98.144.108.17]. Invalid credentials for relay for one of the domains in: example.com (as obtained from HELO and MAIL FROM). Email is being sent from a domain or IP address which isn't registered in your G Suite account."})}, rest="silent")),
              "The relay takes registered addresses: register this one, or smtp.gmail.com.", ("address-not-allowed",), step="address|permits", harm=(*PASSWORD, r"check the recipient")),
    Situation("sender-domain", "the sender's domain is not in DNS", "hardware/mailserver#1", send("relay.corp.example"),
              relay(RCPT="450 4.1.8 <ada@example.org>: Sender address rejected: Domain not found"), "The sender's domain, or the server's DNS.", ("sender",), step="sender|domain", harm=(*GREYLIST, r"check the recipient")),
    Situation("postscreen", "postscreen defers a first visit", "modoboa/modoboa#3586", send("relay.corp.example"), relay(RCPT="450 4.3.2 Service currently unavailable"), "Come again.", ("message-later",), step="again", harm=(*PASSWORD, r"check the recipient")),
    Situation("auth-required-words", "550: please turn on SMTP authentication", "https://www.brixly.help/en/article/175-understanding-and-resolving-the-550-please-turn-on-smtp-authentication-error", send("relay.corp.example", user=None),
              relay(RCPT="550 Please turn on SMTP Authentication in your mail client. example.org is not permitted to relay through this server without authentication."), "Sign in.", ("not-signed-in", "relay-denied"), step="sign in",
              harm=(r"check the recipient",)),
    Situation("ses-denied", "the account may not send by SES", "ministryofjustice/analytical-platform#6944", send("email-smtp.eu-west-2.amazonaws.com"),
              service("email-smtp.eu-west-2.amazonaws.com", "54.239.28.86", END="554 Access denied: User `arn:aws:iam::381491960855:user/mwaa-ses' is not authorized to perform `ses:SendRawEmail' on resource `arn:aws:ses:eu-west-2:381491960855:identity/ada@example.org'"),
              "The account's permissions (IAM).", ("account-off",), step="account", harm=PASSWORD),
    Situation("outgoing-suspended", "the web host has suspended outgoing mail", "roundcube/roundcubemail#8737", send("relay.corp.example"), relay(RCPT="550 Outgoing mail from \"ilaahi.example\" has been suspended."),
              "The host's support.", ("account-off",), step="support|settings", harm=(*PASSWORD, r"check the recipient")),
    Situation("exchange-530", "Exchange: the client has not signed in", "simonrob/email-oauth2-proxy#315", send("relay.corp.example", user=None), relay(MAIL="530 5.7.57 Client not authenticated to send mail"), "Sign in.", ("not-signed-in",), step="sign in"),
]

SECOND_HEALTHY = [
    well("san-second", "the certificate's first name is another host's", "awesomemotive/WP-Mail-SMTP#124", World(mail_host("smtp.double.example", "163.172.11.20", server=Smtp(certificate=Certificate("int-srv-g6-1.double.example", "smtp.double.example")))),
         ports("smtp.double.example"), step=USE_587),
    well("nat64", "IPv6 only, with NAT64 and DNS64", "mustang-im/mustang#429",
         World(Host("nat64", "64:ff9b::5db8:d71e", ports={587: Smtp(certificate=Certificate("mail.example.com")), 465: smtps(certificate=Certificate("mail.example.com"))}), ipv4="none", resolver_at="2606:4700:4700::1111",
               dns={"mail.example.com A": ["93.184.215.30"]}, resolver={"mail.example.com": ["93.184.215.30", "64:ff9b::5db8:d71e"]}), step=USE_587, cause=("not-listening",)),
    well("split-dns", "an internal name with a private address", "docker/for-win#174",
         World(Host("mail.hq.example", "10.11.79.12", ports={25: Smtp(auth=None), 587: Smtp(), 465: smtps()}), resolvers={"mail.hq.example": "nxdomain"}), ports("mail.hq.example"), step=USE_587),
    well("hello-address", "EHLO is answered with this machine's own address", "nymea/nymea-plugins#724",
         World(Host("mail.lan.example", "10.11.79.13", ports={25: Smtp(auth=None), 587: Smtp("220 mail.lan.example ESMTP OpenSMTPD", hello="{host} Hello localhost [{ip}], pleased to meet you"), 465: smtps()})), ports("mail.lan.example"), step=USE_587),
    well("greet-5s", "a greeting after five seconds, on purpose", "Uberspace/manual#33", World(mail_host(server=Smtp(greet_after=5))), step=r"587|465", cause=("slow", "mute")),
    well("teaser", "the first line of the greeting at once, the last after four seconds", "slimta/python-slimta#89", World(mail_host(server=Smtp("220 lpn-prd-vrin019 ESMTP Postfix", teaser="laposte", greet_after=4))), step=USE_587),
    well("masked-greeting", "asterisks in the greeting, and STARTTLS works", "Oefenweb/ansible-postfix#32", World(mail_host(server=Smtp("220 ********************************"))), step=USE_587),
    well("cross-signed", "the chain ends at a root that has expired, and is trusted before", "dani-garcia/vaultwarden#2039", World(mail_host(server=Smtp(certificate=Certificate(by=CrossSigned())))), step=USE_587),
    well("localhost-name", "a server on this machine with a certificate for its public name", "YunoHost-Apps/n8n_ynh#105",
         World(local={587: Smtp(certificate=Certificate("mail.example.org")), 25: Smtp(certificate=Certificate("mail.example.org"))}, local_name="localhost"), ports("localhost"), step=USE_587, cause=("not-listening-here",)),
    well("no-587", "587 was given up for 465", "Mailu/Mailu#3370", World(Host("mail.hudingwen.example", "163.172.11.21", ports={25: Smtp(auth=None), 465: smtps(), 443: Https()})), ports("mail.hudingwen.example"), step=USE_465, cause=("not-listening",)),
    well("ipv4-only-lan", "a network without IPv6, and a name with both", "nodemailer/nodemailer#1791", World(ipv6="none"), ports("smtp.gmail.com"), step=USE_587),
]
