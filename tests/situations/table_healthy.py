# SPDX-License-Identifier: Apache-2.0
"""Healthy situations that only look unusual: any alarm is wrong."""
import ssl

from certificates import LONG, Authority, Certificate, pem
from servers import Https, Smtp, smtps
from situation import BLOCKED, Situation, ports, send
from table_network import EXIM, mail_host
from world import GMAIL, OFFICE, Host, World, drop, gmail

USE_587, USE_465 = r"use (port )?587|port 587", r"use (port )?465|port 465"
PRIVATE = Authority("O=Example Ltd, CN=Example Ltd Root CA")


def well(id, title, source, world, command=None, expert="It works.", step="", cause=(), harm=BLOCKED):
    return Situation(id, title, source, command or ports("mail.example.com"), world, expert, cause=cause, step=step, harm=harm, healthy=True)


HEALTHY = [
    well("gmail", "Gmail, 25 and 2525 not offered", "PHPMailer/PHPMailer#561", World(), ports("smtp.gmail.com"), step=USE_587),
    well("banner", "the greeting names another host", "PHPMailer/PHPMailer#335", World(gmail(ports={587: GMAIL.changed(greeting="220 mx.google.com ESMTP u20sm10991868qaj.5 - gsmtp", hello="mx.google.com at your service, [2604:180:2:517::d6a3]")})),
         ports("smtp.gmail.com"), step=USE_587),
    well("office", "465 silent by design", "nodemailer/nodemailer#438", World(Host("smtp.office365.com", "52.98.16.210", ports={587: OFFICE, 25: OFFICE}, rest="silent")), ports("smtp.office365.com"), step=USE_587),
    well("only-465", "465 only", "mailpile/Mailpile#828", World(Host("smtp.example.com", "93.184.215.30", ports={465: smtps(), 443: Https()})), ports("smtp.example.com"), step=USE_465, cause=("not-listening",)),
    well("only-587", "587 only", "mailcow/mailcow#54", World(Host("smtp.example.com", "93.184.215.31", ports={587: Smtp(), 443: Https()})), ports("smtp.example.com"), step=USE_587, cause=("not-listening",)),
    well("greet-3s", "a greeting after three seconds", "mailcow/mailcow-dockerized#576", World(mail_host(server=Smtp(greet_after=3))), step=USE_587),
    well("slow-ehlo", "a second EHLO that takes its time", "jstedfast/MailKit#1314", World(mail_host(server=Smtp(ehlo_after=1.5))), step=USE_587),
    well("satellite", "a round trip of half a second, and losses", "chatmail/core#1062", World(mail_host(), delay_ms=250, loss=0.02), step=r"587|465"),
    well("multi-line", "a greeting of many lines", "webdigi/SMTP-Based-Email-Validation#2",
         World(mail_host(server=Smtp("220 {host} ESMTP\n" + "\n".join(f" Line {i} of our terms of use: no unsolicited mail." for i in range(12))))), step=USE_587),
    well("real-exim", "a cPanel host that is the right one", "PHPMailer/PHPMailer#1109", World(mail_host("arisvr1.adwhm.example", "69.87.220.199", server=EXIM.changed(certificate=Certificate()))), ports("arisvr1.adwhm.example"),
         step=USE_587),
    well("wildcard", "a wildcard certificate", "RocketChat/Rocket.Chat#13446", World(mail_host("srv1.cpanelhosting.example", "93.184.215.32", server=Smtp(certificate=Certificate("*.cpanelhosting.example", "cpanelhosting.example")))),
         ports("srv1.cpanelhosting.example"), step=USE_587),
    well("alias", "the name is one of several in the certificate", "nodemailer/nodemailer#1646", World(mail_host("mx.nuwainfo.example", "93.184.215.33", server=Smtp("220 mail-admin.mxnodes.example ESMTP", certificate=Certificate("mail-admin.mxnodes.example", "mx.nuwainfo.example")))),
         ports("mx.nuwainfo.example"), step=USE_587),
    well("private-ca", "a private CA, named with --ca-file", "lldap/lldap#1490", World(mail_host(server=Smtp(certificate=Certificate(by=PRIVATE))), files=(("etc/private-ca.pem", pem(PRIVATE.certificate)),)),
         ports("mail.example.com", "--ca-file", "/etc/private-ca.pem"), step=USE_587),
    well("loopback", "a self-signed server of one's own on this machine", "nodemailer/smtp-server#115", World(local={587: Smtp(certificate=Certificate("localhost", by="itself")), 25: Smtp(certificate=Certificate("localhost", by="itself"))}, local_name="localhost"),
         ports("localhost"), step=USE_587, cause=("not-listening-here",)),
    well("one-down", "four addresses, one of which is down", "jakartaee/mail-api#365", World(mail_host("mail.example.com", "93.184.215.40", "93.184.215.41", "93.184.215.42", "93.184.215.43"), way=[drop(to="93.184.215.41")]), step=USE_587),
    well("one-mute", "an address of Outlook's that does not speak", "nodemailer/nodemailer#1099",
         World(Host("smtp-mail.outlook.com", "40.101.146.98", ports={587: OFFICE}, rest="silent"), Host("smtp-mail.outlook.com", "52.98.89.34", ports={587: Smtp(greet_after=40)}, rest="silent")), ports("smtp-mail.outlook.com"), step=USE_587, cause=("mute",)),
    well("no-ipv6", "no IPv6 here", "postalserver/postal#699", World(mail_host("mail.example.com", "93.184.215.14", "2606:2800:21f:cb07::14"), ipv6="none"), step=USE_587),
    well("tls-1.2", "TLS 1.2 only", "openssl/openssl#10532", World(mail_host(server=Smtp(certificate=Certificate(newest=ssl.TLSVersion.TLSv1_2)))), step=USE_587),
    well("starttls-last", "STARTTLS last in the EHLO reply, after AUTH", "zetacomponents/Mail#52", World(mail_host(server=Smtp(ehlo=("SIZE 69920427", "AUTH LOGIN PLAIN", "SMTPUTF8", "X-ODD one two three")))), step=USE_587),
    well("lower-case", "EHLO words in lower case", "curl/curl#18588", World(mail_host(server=Smtp(odd=str.lower))), step=USE_587),
    well("qq", "Esmtp, and AUTH= besides AUTH", "vert-x3/vertx-mail-client#46", World(mail_host("smtp.exmail.example", "183.60.15.120", server=Smtp("220 smtp.exmail.example Esmtp QQ Mail Server", ehlo=("PIPELINING", "SIZE 73400320", "AUTH=LOGIN", "MAILCOMPRESS", "8BITMIME")))),
         ports("smtp.exmail.example"), step=USE_587),
    well("long-chain", "a chain of five certificates, the root among them", "openssl/openssl#21276", World(mail_host(server=Smtp(certificate=Certificate(by=LONG, root=True)))), step=USE_587),
    well("starttls-words", "an unusual reply to STARTTLS", "monitoring-plugins/monitoring-plugins#1379", World(mail_host(server=Smtp(starttls="220 2.0.0 SMTP server ready"))), step=USE_587),
    well("25-greylists", "25 greylists, 587 does not", "MailCleaner/MailCleaner#645", World(Host("mail.example.com", "93.184.215.50", ports={25: Smtp("450 4.7.1 greylisted, try again later"), 587: Smtp(), 465: smtps(), 443: Https()})), step=USE_587,
         cause=("later",)),
    well("home", "25 blocked at home, submission well", "docker-mailserver/docker-mailserver#3824", World(way=[drop(25)]), ports("smtp.gmail.com"), step=USE_587, cause=("port-25-blocked",), harm=()),
    well("vpn-well", "a VPN that blocks only 25", "compassvpn/agent#132", World(mail_host(), way=[drop(25)], device="wg0", mtu=1420), step=USE_587, cause=("port-25-blocked",), harm=()),
    well("proxy-well", "a proxy is set, and mail goes directly", "nodemailer/nodemailer#125", World(environment={"https_proxy": "http://proxy.example:3128"}), ports("smtp.sendgrid.net"), step=USE_587),
    well("unusual-port", "TLS at once on a port of one's own", "nodemailer/nodemailer#1470", World(Host("webmail.example.com", "83.217.35.130", ports={991: smtps(), 443: Https()})), ports("webmail.example.com:991"), step="991", cause=("tls-mode",)),
    well("sent", "a message goes", "lettre/lettre#430", World(mail_host()), send("mail.example.com"), step=""),
]
