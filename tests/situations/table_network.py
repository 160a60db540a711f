# SPDX-License-Identifier: Apache-2.0
"""Situations with web hosts, clouds, home networks, VPNs, firewalls and IPv6."""
from certificates import OTHER_ROOT, Certificate, pem
from servers import Https, Smtp, smtps
from situation import CAN_SEND, CLOUDS, DOUBT, Situation, bad_ports, doctor, ports, send
from world import MACHINE, Host, World, drop, no_host, prohibit, refuse

EXIM = Smtp("220 {host} ESMTP Exim 4.95 #2 Wed, 04 Jan 2023 09:01:33 +0000 \n We do not authorize the use of this system to transport unsolicited, \n and/or bulk e-mail.",
            ("SIZE 52428800", "8BITMIME", "PIPELINING", "PIPE_CONNECT"), certificate=Certificate("server-9.bikiran.example", "*.bikiran.example"),
            replies={"AUTH": "535 Incorrect authentication data"}, hello="{host} Hello web01 [{ip}]")
LOCAL_EXIM = {25: EXIM, 587: EXIM, 465: smtps(EXIM)}
REDIRECT = {"redirect_here": (25, 465, 587), "local": LOCAL_EXIM, "local_at": "0.0.0.0", "local_name": "server-9.bikiran.example"}
CPANEL_FILES = (("usr/local/cpanel/version", "11.110.0.15\n"),)
CSF_FILES = (("etc/csf/csf.conf", 'SMTP_BLOCK = "1"\nTCP_OUT = "20,21,22,25,53,80,110,113,443,587,993,995"\n'),)
SES = Host("email-smtp.us-east-1.amazonaws.com", "54.166.44.17", ports={587: Smtp("220 email-smtp.amazonaws.com ESMTP SimpleEmailService-d-QX3KLN4 hVqZ"),
           25: Smtp("220 email-smtp.amazonaws.com ESMTP SimpleEmailService-d-QX3KLN4 hVqZ"), 465: smtps(), 2587: Smtp(), 2465: smtps()}, rest="silent")
MAILGUN = Host("smtp.mailgun.org", "34.160.157.95", ports={port: Smtp("220 Mailgun Influx ready") for port in (25, 587, 2525)} | {465: smtps()}, rest="silent")
GANDI = Host("mail.gandi.net", "217.70.178.9", "2001:4b98:e00::9", ports={587: Smtp(), 465: smtps(), 25: Smtp()})


def mail_host(name="mail.example.com", *addresses, more=(), **options):
    server = options.pop("server", Smtp())
    return Host(name, *(addresses or ("93.184.215.14",)), ports={25: server.changed(auth=None), 587: server, 465: smtps(server), 443: Https(), **dict(more)}, **options)


HOSTING = [
    Situation("cpanel-gmail", "a cPanel host redirects 25, 465 and 587 to its own Exim; Gmail is meant", "PHPMailer/PHPMailer#2853", ports("smtp.gmail.com"),
              World(**REDIRECT, files=CPANEL_FILES), "SMTP Restrictions of cPanel: have them lifted, or use the host's own relay or Gmail's API; never sign in here.",
              ("redirected",), step=r"lift|HTTPS|own mail server", harm=(*DOUBT, *bad_ports(25, 465, 587))),
    Situation("cpanel-mailgun-2525", "the same seen from a jailed account; the sending service has 2525", "RainLoop/rainloop-webmail#832", ports("smtp.mailgun.org"),
              World(MAILGUN, **REDIRECT), "Redirected by the web host; 2525 is left alone: use it.", ("redirected",), step=r"use (port )?2525|2525 STARTTLS|port 2525",
              harm=(*DOUBT, *bad_ports(25, 465, 587))),
    Situation("cpanel-doctor", "can mail leave a cPanel host?", "PHPMailer/PHPMailer#649", doctor(), World(**REDIRECT, files=CPANEL_FILES),
              "25, 465 and 587 end at the machine's own Exim; only 2525 leads out.", ("redirected",), says="redirect", step="2525|lift",
              harm=(r"gmail\S* +reached", *DOUBT, r"can carry mail to other servers itself")),
    Situation("cpanel-send", "signing in to Zoho from a cPanel host", "PHPMailer/PHPMailer#1074", send("smtp.zoho.com"),
              World(Host("smtp.zoho.com", "136.143.190.155", ports={25: Smtp(), 587: Smtp(), 465: smtps()}, rest="silent"), **REDIRECT),
              "The password would go to the web host's Exim: nothing is sent; have the redirect lifted.", ("redirected",), says="redirect|another server|not .*zoho",
              step=r"lift|HTTPS|own mail server|do not sign in", harm=(r"use the right password|check user name and password", *DOUBT)),
    Situation("godaddy-refused", "a web host rejects all mail ports", "PHPMailer/PHPMailer#1427", ports("smtp.gmail.com"), World(way=[refuse(25, 465, 587, 2525)]),
              "A firewall of the web host refuses, not Gmail: use the host's relay or HTTPS.", ("firewall-rejects", "all-ports-blocked"), step=r"web host|own mail server|HTTPS|2525", harm=CLOUDS),
    Situation("csf-smtp-block", "csf with SMTP_BLOCK on this machine", "PHPMailer/PHPMailer#475", ports("smtp.gmail.com"), World(here=[refuse(25, 465, 587)], files=CSF_FILES, root=True),
              "csf refuses at once, before anything leaves: SMTP_BLOCK and SMTP_ALLOWUSER, or 2525 elsewhere.", ("firewall-rejects", "local-rule"), step=r"csf|rule|web host|HTTPS",
              harm=CLOUDS),
    Situation("csf-allow-list", "csf's list of outgoing ports passes 587 and refuses 465 and 2525", "craftcms/cms#3834", ports("smtp.sendgrid.net"),
              World(here=[refuse(465, 2525)], files=CSF_FILES), "Keep 587; the owner adds 465 and 2525 to TCP_OUT where they are needed.", ("allow-list", "local-rule"),
              step=r"use (port )?587|587 STARTTLS|port 587"),
    Situation("csf-2525", "csf on the web server blocks the 2525 of a server elsewhere", "postalserver/postal#749", ports("postal.example.net:2525"),
              World(Host("postal.example.net", "95.216.12.40", ports={25: Smtp(), 2525: Smtp(), 443: Https()}), here=[refuse(2525, 465)], files=CSF_FILES),
              "This machine's csf refuses 2525, the server does not: add it to TCP_OUT.", ("firewall-rejects", "local-rule", "allow-list"), step=r"TCP_OUT|rule|list of outgoing|open outgoing"),
    Situation("shared-certificate", "mail.DOMAIN on shared hosting shows the host's certificate", "npm/npm#16622", ports("mail.digieasynow.com"),
              World(mail_host("mail.digieasynow.com", "162.222.225.80", server=EXIM.changed(certificate=Certificate("*.webhostbox.net", "webhostbox.net")))),
              "The host's own server has the host's certificate: ask the hoster for the server's name; do not switch the check off.", ("certificate-name",), step=r"under which name|ask the operator"),
    Situation("web-certificate", "the mail server shows the web site's certificate", "nodemailer/nodemailer#1391", ports("mail.botden.cf"),
              World(mail_host("mail.botden.cf", "51.68.190.80", server=Smtp(certificate=Certificate("botden.cf", "www.botden.cf")))),
              "The certificate lacks the mail server's name: its owner adds it, or names the right host.", ("certificate-name",), step=r"under which name|ask the operator"),
    Situation("panel-certificate", "the control panel's name is in the mail server's certificate", "towfiqi/serpbear#245", ports("mail.vontainment.com"),
              World(mail_host("mail.vontainment.com", "91.107.214.7", server=Smtp(certificate=Certificate("jupiter.vontainment.com")))),
              "The server uses its panel's certificate: its owner gives Postfix the right one, or names jupiter.", ("certificate-name",), step=r"under which name|ask the operator"),
]

CLOUD = [
    Situation("digitalocean-ses", "DigitalOcean blocks 25, 465 and 587; Amazon SES has 2587", "WPManageNinja/fluent-smtp#303", ports("email-smtp.us-east-1.amazonaws.com"),
              World(SES, way=[drop(25, 465, 587)], vendor="DigitalOcean"), "DigitalOcean's block: use 2587.", ("ports-blocked", "all-ports-blocked"), step="2587",
              harm=(*bad_ports(465, 587, 2525), *DOUBT)),
    Situation("cloud-gmail", "465 and 587 of Gmail time out on a server that says nothing of its cloud", "nodemailer/nodemailer#1736", ports("smtp.gmail.com"),
              World(way=[drop(25, 465, 587)]), "The provider blocks the mail ports: ask it, or use HTTPS (or a service with 2525).", ("ports-blocked", "all-ports-blocked"),
              step=r"HTTPS|ask whoever|2525", harm=bad_ports(465, 587)),
    Situation("cloud-2525", "25, 465 and 587 time out, and 2525 works", "nodemailer/nodemailer#438", ports("smtp.sendgrid.net"), World(way=[drop(25, 465, 587)]),
              "Use 2525.", ("ports-blocked",), step=r"use (port )?2525|port 2525", harm=bad_ports(465, 587)),
    Situation("render", "a free service at Render", "yasslab/sample_apps#102", ports("smtp.sendgrid.net"), World(way=[drop(25, 465, 587)], environment={"RENDER": "true"}),
              "Render blocks three ports on free services: use 2525.", ("ports-blocked",), step=r"use (port )?2525|port 2525", harm=bad_ports(465, 587)),
    Situation("hetzner-gmail", "Hetzner Cloud blocks 25 and 465, 587 is open", "postalsys/emailengine#508", ports("smtp.gmail.com"), World(way=[drop(25, 465)], vendor="Hetzner"),
              "Use 587; 465 is Hetzner's block.", ("ports-blocked", "port-25-blocked"), step=r"use (port )?587|port 587", harm=bad_ports(465)),
    Situation("hetzner-doctor", "a new mail server at Hetzner cannot deliver", "hetzneronline/community-content#1041", doctor(), World(way=[drop(25, 465)], vendor="Hetzner"),
              "25 is shut until Hetzner opens it on request; a smarthost on 587 delivers meanwhile.", ("port-25-blocked", "ports-blocked"), says="25 .*(silent|block|filtered)",
              step="smarthost|request|587", harm=(r"can carry mail to other servers itself",)),
    Situation("ec2-doctor", "25 is shut at Amazon EC2", "docker-mailserver/docker-mailserver#1668", doctor(), World(way=[drop(25)], vendor="Amazon EC2", ipv6="none"),
              "EC2 blocks 25: ask for it by the form, or a smarthost.", ("port-25-blocked",), says="25 .*(silent|block|filtered)", step="smarthost|form",
              harm=(r"can carry mail to other servers itself",)),
    Situation("railway", "all four ports are shut at Railway", "railwayapp/docs#1126", ports("smtp.gmail.com"),
              World(way=[drop(25, 465, 587, 2525)], environment={"RAILWAY_ENVIRONMENT_NAME": "production"}), "Railway lets no mail out below its Pro plan: HTTPS, or the plan.",
              ("all-ports-blocked", "ports-blocked"), step="HTTPS|plan", harm=bad_ports(25, 465, 587, 2525)),
    Situation("all-silent", "no mail port of any host answers, and the web does", "nodemailer/nodemailer#955", ports("smtp.sendgrid.net"), World(way=[drop(25, 465, 587, 2525)]),
              "The network lets no mail out: HTTPS, or ask its operator.", ("all-ports-blocked", "ports-blocked"), step="HTTPS|ask whoever", harm=(*CLOUDS, *bad_ports(25, 465, 587, 2525))),
    Situation("all-silent-doctor", "can mail leave where all four ports are shut?", "noobGB/snowpro-core-prep#95", doctor(), World(way=[drop(25, 465, 587, 2525)]),
              "No: only HTTPS.", ("all-ports-blocked", "ports-blocked"), says="no .*port|silent|lets no", step="HTTPS", harm=(*CAN_SEND, r"on 587 or 2525")),
    Situation("home-25", "25 is silent at home", "docker-mailserver/docker-mailserver#1524", doctor(), World(way=[drop(25)]), "Usual at home: a smarthost on 587.",
              ("port-25-blocked",), says="25 .*(silent|block|filtered)", step="smarthost", harm=(*CLOUDS, r"can carry mail to other servers itself")),
    Situation("home-25-unreachable", "25: no route to host", "simple-login/app#595", doctor(), World(way=[no_host(25)]), "The provider rejects 25 by ICMP: a smarthost.",
              ("port-25-blocked", "firewall-rejects"), says="25 .*(unreach|block|route)", step="smarthost", harm=(r"can carry mail to other servers itself", *CLOUDS)),
    Situation("gitpod", "a cloud workplace refuses 587", "gitpod-io/gitpod#8976", ports("smtp.gmail.com"), World(way=[refuse(25, 465, 587)], container=True),
              "The platform's firewall refuses, not Gmail.", ("firewall-rejects", "all-ports-blocked", "ports-blocked"), step="HTTPS|2525|ask whoever", harm=CLOUDS),
    Situation("vpn", "a VPN exit blocks the mail ports", "scaleway-community/scaleway-openvpn#13", ports("mail.gandi.net"), World(GANDI, way=[drop(25, 465, 587)], device="tun0"),
              "The VPN's exit blocks mail: try without the VPN.", ("ports-blocked", "all-ports-blocked"), step="VPN|tun0|another network|ask whoever", harm=bad_ports(465, 587)),
    Situation("vpn-refused", "the VPN exit of a community network refuses 25", "freifunkMUC/freifunkmuc.github.io#122", doctor(), World(way=[refuse(25)], device="wg0"),
              "25 is refused at the exit; submit on 587.", ("port-25-blocked", "firewall-rejects"), says="25 .*(refused|block)", step="587|smarthost",
              harm=(r"can carry mail to other servers itself", *CLOUDS)),
]

MACHINE_SIDE = [
    Situation("own-rule", "the machine's own firewall forgets mail", "freedomofpress/securedrop#872", ports("smtp.gmail.com"), World(here=[drop(25, 465, 587)], root=True),
              "An outgoing rule of this machine drops the ports: change it.", ("local-rule", "ports-blocked", "all-ports-blocked"), step="rule|ask whoever|HTTPS", harm=CLOUDS),
    Situation("server-firewalld", "the server's firewalld answers 'no route to host'", "postalserver/postal#476", ports("postal.example.net"),
              World(Host("postal.example.net", "95.216.12.40", ports={443: Https(), 25: Smtp(), 587: Smtp()}), way=[prohibit(25, 465, 587, 2525, to="95.216.12.40")]),
              "A firewall at the server forbids it; other servers answer from here: its operator opens the ports.", ("server-firewall", "firewall-rejects"), step="operator of postal", harm=CLOUDS),
    Situation("container-localhost", "in a container, localhost is the container", "dunglas/symfony-docker#723", ports("localhost"), World(container=True),
              "Name the mail container instead of localhost.", ("container-localhost",), step="container", own=True),
    Situation("own-server-off", "nothing listens on this machine", "overleaf/overleaf#1179", ports("localhost"), World(), "The mail server on this machine does not run: start it.",
              ("not-listening-here",), step="start the mail server", own=True),
    Situation("docker-host", "the mail server on the Docker host listens on loopback only", "puckel/docker-airflow#425", ports("172.17.0.1"),
              World(Host("dockerhost", "172.17.0.1"), container=True), "Nothing listens on that address of the host: its server must listen there, too.",
              ("not-listening",), step="operator|listens|name"),
    Situation("loopback-only", "the mail server on this machine listens on loopback only", "namshi/docker-smtp#62", ports(MACHINE), World(local={25: Smtp(), 587: Smtp()}),
              "It listens on 127.0.0.1 alone: let it listen on the outside address, too.", ("listens-on-loopback", "not-listening-here"), step="outside|listen", own=True),
    Situation("dead-ipv6", "IPv6 leads nowhere, IPv4 works", "postalserver/postal#349", ports("mail.example.com"), World(mail_host("mail.example.com", "93.184.215.14", "2606:2800:21f:cb07::14"), ipv6="dead"),
              "Works over IPv4; IPv6 is dead: correct it, since other programs wait for it.", ("ipv6-broken",), step="IPv6"),
    Situation("dead-ipv6-port", "the server's mail ports are shut over IPv6 only", "python/pythondotorg#1046", ports("mail.python.example"),
              World(mail_host("mail.python.example", "188.166.95.178", "2a03:b0c0:2:d0::71:1"), way=[drop(25, 465, 587, to="2a03:b0c0:2:d0::71:1")]),
              "Its IPv6 address does not answer for mail; IPv4 works: the operator is to be told.", ("ipv6-broken",), step="IPv6"),
    Situation("ipv6-only-host", "the server has only IPv6, this machine has none", "postalserver/postal#547", ports("six.example.com"),
              World(Host("six.example.com", "2606:2800:21f:cb07::15", ports={25: Smtp(), 587: Smtp(), 465: smtps()}), ipv6="none"), "No IPv6 here: get it, or another server.",
              ("ipv6-only-host", "no-network"), step="IPv6|network"),
    Situation("ipv4-only-host", "this machine has only IPv6, the server has none", "mustang-im/mustang#429", ports("smtp.sendgrid.net"),
              World(ipv4="none", resolver_at="2606:4700:4700::1111"), "No IPv4 and no NAT64 here: the server cannot be reached.", ("ipv4-only-host", "no-network"),
              says="IPv4|route", step="IPv4|route|network", harm=CLOUDS),
    Situation("clock-behind", "the clock is more than a year behind", "openssl/openssl#14771", ports("smtp.gmail.com"), World(clock=-400), "Set the clock.", ("clock", "certificate-not-yet"),
              step="clock", harm=(r"renew the certificate(?!.*clock)",)),
    Situation("clock-ahead", "the clock is ahead, so everything looks expired", "skx/rss2email#74", ports("smtp.gmail.com"), World(clock=120), "Set the clock: all certificates look expired.",
              ("clock",), step="clock"),
    Situation("no-ca", "a container without CA certificates", "AnalogJ/scrutiny#111", ports("email-smtp.us-east-1.amazonaws.com"), World(SES, bundle=b"", container=True),
              "Install ca-certificates.", ("ca-missing",), step="ca-certificates"),
    Situation("old-ca", "an image whose CA certificates are too old for Let's Encrypt", "cw1/docker-webcron#2", ports("mail.example.com"),
              World(mail_host(), bundle=pem(OTHER_ROOT.certificate), bundle_age=1500), "Update ca-certificates.",
              ("ca-missing", "certificate-issuer", "certificate-self-signed"), step="ca-certificates|other|operator"),
    Situation("proxy", "a company lets only its web proxy out", "nodemailer/nodemailer#1024", ports("smtp.gmail.com"),
              World(way=[drop(25, 465, 587, 2525, 443, 80)], environment={"https_proxy": "http://11.0.6.39:8080", "http_proxy": "http://11.0.6.39:8080"}),
              "Mail does not go through a web proxy: ask for a direct way or the company's relay.", ("proxy-required", "all-ports-blocked"), step="proxy|administrator|relay|HTTPS", harm=CLOUDS),
    Situation("proxy-refused", "behind a proxy 587 is refused", "RocketChat/Rocket.Chat#12863", ports("smtp.gmail.com"),
              World(way=[refuse(25, 465, 587, 2525, 443, 80)], environment={"http_proxy": "http://10.1.1.1:3128"}), "The firewall refuses all but the proxy.",
              ("proxy-required", "firewall-rejects", "all-ports-blocked"), step="proxy|administrator|ask whoever|HTTPS", harm=CLOUDS),
]
