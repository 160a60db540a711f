# SPDX-License-Identifier: Apache-2.0
"""Situations with servers that reject the client, are slow, or are not mail servers; accounts."""
import itertools

from servers import IMAP, Https, Smtp, close, http, mute, smtps
from situation import CLOUDS, Situation, bad_ports, ports, send
from table_network import mail_host
from world import GMAIL, OFFICE, Host, World, gmail, unreachable

numbers = itertools.count(30)


EXCHANGE = Smtp("220 TS-EXHC-P1.corp.example Microsoft ESMTP MAIL Service ready at Mon, 30 Nov 2026 15:10:11 +0100",
                ("SIZE", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "X-ANONYMOUSTLS", "X-EXPS GSSAPI NTLM", "8BITMIME", "CHUNKING"), auth="NTLM")


def only(name, server, **options):
    """Returns a host whose mail ports all behave like this."""
    return Host(name, f"163.172.10.{next(numbers)}", ports={25: server, 587: server, 443: Https(), **options.pop("ports", {})}, **options)


def replies(**said):
    return Smtp(replies={{"END": "."}.get(verb, verb): reply for verb, reply in said.items()})


SERVER = [
    Situation("greylisted", "greylisting", "eleith/emailjs#202", send("mail.wvvw.example"), World(only("mail.wvvw.example", replies(RCPT="450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/"))),
              "Come again in a few minutes.", ("message-later", "later"), says="later|again|greylist|4.2.0", step="again|minutes", harm=(r"check user name",)),
    Situation("421-many", "421: too many connections", "mailcow/mailcow-dockerized#6911", ports("mail.skipp.example"), World(only("mail.skipp.example", Smtp("421 4.7.0 {host} Error: too many connections from {ip}"))),
              "Fewer connections, and wait.", ("too-many",), says="too many", step="wait|fewer", harm=CLOUDS),
    Situation("gmail-six", "Gmail answers 421 over IPv6 only", "postalserver/postal#1247", ports("gmail-smtp-in.l.google.com:25"),
              World(Host("gmail-smtp-in.l.google.com", "142.250.102.27", ports={25: Smtp("220 mx.google.com ESMTP", auth=None)}, rest="silent"),
                    Host("gmail-smtp-in.l.google.com", "2a00:1450:4025:401::1b", ports={25: Smtp("421 4.7.0 Try again later, closing connection.")}, rest="silent")),
              "Over IPv6 this address is turned away, over IPv4 not: its reverse name or reputation.", ("ipv6-broken", "later", "reverse-dns", "port-not-offered"), says="25", step="IPv6|again|IPv4", harm=CLOUDS),
    Situation("listed", "a block list names this address", "haraka/Haraka#1241", ports("mail.haraka.example"),
              World(only("mail.haraka.example", Smtp("554 5.7.1 Service unavailable; Client host [{ip}] blocked using zen.spamhaus.org"))), "A home address on the PBL: sign in on 587 or 465, or a smarthost.", ("listed",),
              step="list|sign in|smarthost", harm=CLOUDS),
    Situation("no-ptr", "no reverse name", "mailcow/mailcow#915", ports("mx-ha03.web.example:25"),
              World(Host("mx-ha03.web.example", "212.227.15.17", ports={25: Smtp("554 web.de (mxweb012) Nemesis ESMTP Service not available\nNo SMTP service\ninvalid DNS PTR resource record, IP={ip}")}, rest="silent")),
              "A reverse DNS name for this address, from its provider.", ("reverse-dns",), step="reverse", harm=CLOUDS),
    Situation("mute", "the connection stands and nobody speaks", "nodemailer/nodemailer#535", ports("smtp.mute.example"), World(only("smtp.mute.example", mute, ports={465: mute})),
              "Accepted and silent: a firewall in the server's place, or overload.", ("mute",), step="again|another network", harm=(*CLOUDS, *bad_ports(465, 587))),
    Situation("closed", "the connection is closed before a word", "nodemailer/nodemailer#1447", ports("smtp.closed.example"), World(only("smtp.closed.example", close, ports={465: close})),
              "The server or a guard turns this address away.", ("closed",), step="operator|another network|wait", harm=CLOUDS),
    Situation("reset-ehlo", "reset after EHLO", "nodemailer/nodemailer#243", ports("mail.reset.example"), World(only("mail.reset.example", Smtp(replies={"EHLO": "reset"}))), "Something reads the dialogue and cuts it.",
              ("closed", "tls-cut"), step="another network|operator", harm=CLOUDS),
    Situation("greet-pause", "the greeting comes after 20 seconds", "nimia/public_drown_scanner#39", ports("pechora1.icann.example:25"),
              World(Host("pechora1.icann.example", "192.0.33.71", ports={25: Smtp(greet_after=20), 443: Https()})), "A pause against spammers: wait longer.", ("mute", "slow"), step="again|longer|deadline", harm=CLOUDS),
    Situation("tarpit", "an octet a second", "testssl/testssl.sh#731", ports("tarpit.example"), World(only("tarpit.example", Smtp(drip=1))), "A tarpit: slower than we wait.", ("slow",), step="again|longer", harm=CLOUDS),
    Situation("helo", "the name by which we greet is rejected", "Foundry376/Mailspring#984", ports("mx.strict.example"), World(only("mx.strict.example", Smtp(replies={"EHLO": "501 5.5.4 HELO/EHLO argument \"web01\" invalid, closing connection."}))),
              "Greet with a full host name.", ("helo",), step="name", harm=CLOUDS),
    Situation("imap-port", "an IMAP server on the port", "whiteout-io/mail#143", ports("mail.imap.example:143"), World(Host("mail.imap.example", "163.172.10.22", ports={143: IMAP, 587: Smtp(), 465: smtps(), 443: Https()})),
              "143 is IMAP's: 587 or 465 to send.", ("other-service",), step="587|465", harm=CLOUDS),
    Situation("http-port", "a web server on the port", "mailcow/mailcow-dockerized#2549", ports("mail.web.example:82"), World(Host("mail.web.example", "163.172.10.23", ports={82: http(), 587: Smtp(), 443: Https()})),
              "A web server listens there: 587.", ("other-service",), step="587|465|port", harm=(r"captive",)),
    Situation("refused-465", "465 is refused where the server has only 25 and 587", "PHPMailer/PHPMailer#2299", ports("mail.planet.example:465"),
              World(Host("mail.planet.example", "163.172.10.25", ports={25: Smtp(auth=None), 587: Smtp(), 443: Https()})), "Nothing listens on 465 there: 587.", ("not-listening",), step="587|another port|other port|name|operator",
              harm=(*CLOUDS, *bad_ports(25, 465))),
    Situation("fail2ban", "fail2ban has banned this address after wrong passwords", "mailcow/mailcow-dockerized#1269", ports("mail.mcow.example"),
              World(Host("mail.mcow.example", "163.172.10.26", ports={25: Smtp(), 587: Smtp(), 465: smtps(), 443: Https()}), way=[unreachable(25, 110, 143, 465, 587, 993, 995, 2525, to="163.172.10.26")]),
              "Its firewall rejects: perhaps a ban; correct the password everywhere, wait, or have it lifted.", ("server-firewall",), step="banned", harm=(*CLOUDS, r"no mail server listens")),
    Situation("proxy-protocol", "a server that waits for the PROXY protocol greets late with 421", "docker-mailserver/docker-mailserver#2929", ports("mail.k8s.example"),
              World(only("mail.k8s.example", Smtp("421 4.3.2 No system resources", greet_after=3))), "The server is out of order, or busy: later, then its operator.", ("later",), step="again|operator",
              harm=(*CLOUDS, r"TLS mode", r"plain text")),
    Situation("no-auth-587", "587 offers no sign-in, 465 does", "Foundry376/Mailspring#1061", ports("mail.mrcorp.example"),
              World(Host("mail.mrcorp.example", "163.172.10.27", ports={25: Smtp(auth=None), 587: Smtp(auth=None), 465: smtps(), 443: Https()})), "465: 587 takes no sign-in there.", ("no-auth",),
              step=r"use 465", harm=(*CLOUDS, *bad_ports(25, 587))),
    Situation("ntlm", "Exchange offers NTLM alone", "nodemailer/nodemailer#189", send("mail.corp.example"), World(only("mail.corp.example", EXCHANGE)),
              "Its operator permits basic authentication on the connector.", ("auth-foreign",), says="NTLM", step="PLAIN|LOGIN|operator", harm=(*CLOUDS, r"OAuth", r"check user name")),
]

def service(host, address, **said):
    """Returns a sending service that says this, on 587 and 465."""
    return World(Host(host, address, ports={587: replies(**said), 465: smtps(replies(**said))}, rest="silent"))


PASSWORD = (r"check user name and password", r"rejects the user name")

ACCOUNT = [
    Situation("address-not-allowed", "the service does not know this address", "gophish/gophish#1701", send("mail.smtp2go.com"),
              service("mail.smtp2go.com", "45.79.71.155", MAIL="550 that IP address is not allowed to send"), "The account permits some addresses only: add this one.", ("address-not-allowed",), step="address", harm=(*PASSWORD, r"own address as the sender")),
    Situation("not-activated", "the account is not yet activated", "WPManageNinja/fluent-smtp#157", send("smtp-relay.brevo.com"),
              service("smtp-relay.brevo.com", "1.179.118.1", AUTH="502 5.7.0 Your SMTP account is not yet activated. Contact us at contact@sendinblue.com to request activation"), "Have it activated.", ("account-off",), step="activated", harm=PASSWORD),
    Situation("suspended", "the account is suspended", "gophish/gophish#720", send("mail.smtp2go.com"),
              service("mail.smtp2go.com", "45.79.71.155", MAIL="552 Your account has been suspended. Please contact us to reactivate"), "Its support.", ("account-off",), step="support|settings", harm=(*PASSWORD, r"own address as the sender")),
    Situation("web-login", "Google holds the sign-in back", "YetiForceCompany/YetiForceCRM#14235", send("smtp.gmail.com", user="ada@gmail.com"),
              World(gmail(ports={587: GMAIL.changed(replies={"AUTH": "534 5.7.14 Please log in via your web browser and then try again. Learn more at https://support.google.com/mail/answer/78754"}),
                                 465: smtps(GMAIL, replies={"AUTH": "534 5.7.14 Please log in via your web browser and then try again."})})),
              "Sign in with a browser once, then an application password.", ("browser-first",), step="web page|application password", harm=PASSWORD),
    Situation("auth-method", "Microsoft rejects the method", "binwiederhier/ntfy#1020", send("smtp-mail.outlook.com", user="ada@outlook.com"),
              World(Host("smtp-mail.outlook.com", "52.98.16.211", ports={587: OFFICE.changed(replies={"AUTH": "504 5.7.4 Unrecognized authentication type [CY4PR0501MB3908.namprd05.prod.outlook.com]"})}, rest="silent")),
              "Passwords are off: OAuth 2.", ("auth-method", "oauth-only"), step="OAuth", harm=PASSWORD),
    Situation("relaying-disallowed", "Zoho does not relay for another sender", "frappe/erpnext#19057", send("smtp.zoho.com", sender="noreply@example.org"),
              service("smtp.zoho.com", "136.143.190.56", RCPT="553 Relaying disallowed as noreply@example.org"), "Send as the account's own address.", ("sender",), step="own address", harm=(*PASSWORD, r"give a user name")),
    Situation("relay-denied-signed-in", "relaying is denied to a user who has signed in", "simple-login/simplelogin-postfix-docker#38", send("mail.example.com"),
              World(mail_host(server=replies(RCPT="554 5.7.1 <bob@example.net>: Relay access denied"))), "The account may not relay: its operator, or the sender.", ("relay-not-allowed", "sender"), step="sender|operator",
              harm=(*PASSWORD, r"give a user name")),
    Situation("not-verified", "Amazon SES knows the sender not yet", "WPManageNinja/fluent-smtp#103", send("email-smtp.us-east-1.amazonaws.com"),
              service("email-smtp.us-east-1.amazonaws.com", "54.239.28.85", END="554 Message rejected: Email address is not verified. The following identities failed the check in region US-EAST-1: ada@example.org"),
              "Have the address verified.", ("sender",), step="sender|address", harm=PASSWORD),
    Situation("password", "535: user name or password", "PHPMailer/PHPMailer#1708", send("mail.example.com"), World(mail_host(server=replies(AUTH="535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6"))),
              "Compare both in the web mail; not again and again.", ("password",), says="535|password", step="user name|password"),
    Situation("gmail-application-password", "Gmail wants an application password", "nodemailer/nodemailer#1116", send("smtp.gmail.com", user="ada@gmail.com"),
              World(gmail(ports={587: GMAIL.changed(replies={"AUTH": "534-5.7.9 Application-specific password required. Learn more at https://support.google.com/mail/?p=InvalidSecondFactor".replace("534-", "534 ")}),
                                 465: smtps(GMAIL, replies={"AUTH": "534 5.7.9 Application-specific password required. Learn more at https://support.google.com/mail/?p=InvalidSecondFactor"})})),
              "An application password of the Google account.", ("application-password",), says="application", step="application[- ](specific )?password"),
    Situation("basic-auth-off", "Microsoft has switched passwords off", "simonrob/email-oauth2-proxy#193", send("smtp.office365.com", user="ada@contoso.example"),
              World(Host("smtp.office365.com", "52.98.16.210", ports={587: OFFICE.changed(replies={"AUTH": "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information."})}, rest="silent")),
              "OAuth 2, or the administrator permits SMTP AUTH.", ("oauth-only",), says="535", step="OAuth|administrator", harm=(r"check user name and password",)),
    Situation("oauth-only", "OAuth 2 alone is offered", "cutelyst/simple-mail#105", send("smtp-mail.outlook.com", user="ada@outlook.com"),
              World(Host("smtp-mail.outlook.com", "52.98.16.211", ports={587: OFFICE.changed(auth="XOAUTH2")}, rest="silent")), "A token, not a password.", ("oauth-only", "no-auth"), says="OAuth|sign", step="OAuth"),
    Situation("sender", "the sender is not the account's", "splitbrain/dokuwiki-plugin-smtp#38", send("smtp.example.com", sender="noreply@example.org"),
              World(mail_host("smtp.example.com", "93.184.215.20", server=replies(MAIL="553 5.7.1 Sender address rejected: not owned by auth user."))), "Send as the account's own address.", ("sender",), says="553|sender",
              step="own address|sender", harm=(r"check user name and password",)),
    Situation("sender-at-rcpt", "the same, said at RCPT", "r-raymond/nixos-mailserver#9", send("smtp.example.com", sender="noreply@example.org"),
              World(mail_host("smtp.example.com", "93.184.215.20", server=replies(RCPT="553 5.7.1 <noreply@example.org>: Sender address rejected: not owned by user ada@example.org"))), "Send as the account's own address.",
              ("sender",), says="553|sender", step="own address|sender", harm=(r"check the recipient",)),
    Situation("relay-denied", "relaying without signing in", "docker-mailserver/docker-mailserver#19", send("mail.example.com", user=None),
              World(mail_host(server=replies(RCPT="554 5.7.1 <bob@example.net>: Relay access denied"))), "Sign in.", ("relay-denied", "not-signed-in"), says="relay|554", step="sign in|user"),
    Situation("sign-in-first", "530: sign in first", "jstedfast/MailKit#758", send("mail.example.com", user=None), World(mail_host(server=replies(MAIL="530 5.7.0 Authentication required"))), "Sign in.", ("not-signed-in",),
              says="530|sign", step="sign in|user"),
    Situation("limit", "too many at once", "sabuhish/fastapi-mail#75", send("smtp.example.com"),
              World(mail_host("smtp.example.com", "93.184.215.20", server=replies(END="432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information."))), "Wait, and send fewer at once.",
              ("limit", "message-later", "too-many"), says="432|limit", step="wait|again|fewer"),
    Situation("unauthenticated", "Gmail wants SPF or DKIM", "YunoHost/issues#2517", send("smtp.example.com"),
              World(mail_host("smtp.example.com", "93.184.215.20", server=replies(END="550 5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM."))),
              "SPF and DKIM for the sender's domain.", ("domain-unauthenticated",), says="5.7.26", step="SPF|DKIM", harm=(r"check user name and password",)),
]
