/* SPDX-License-Identifier: Apache-2.0 */
#include "config/keys.h"

#include "core/queue/schedule.h"

#define AT(member) offsetof(struct config, member)
#define ROUTE(member) offsetof(struct route_rule, member)
#define LOCAL_USER(member) offsetof(struct config_local_user, member)
#define RELAY_DOMAIN(member) offsetof(struct config_relay_domain, member)
#define LISTENER(member) offsetof(struct config_listener, member)

enum { SECOND_MS = 1000, DAY_MS = 24 * 60 * 60 * 1000 };
#define YEAR_MS (365 * (uint64_t)DAY_MS)

static const char *const vias[] = {"mx", "smarthost", "auto", NULL};
/* enum rule_tls */
static const char *const route_tls[] = {"may", "encrypt", "verify", "implicit", "none", NULL};
static const char *const smarthost_tls[] = {"auto", "starttls", "implicit", "none", NULL};
const char *const tls_wishes[] = {"may", "auto", "encrypt", "verify", "dane", "none", NULL};
static const char *const dnssecs[] = {"auto", "required", "off", NULL};
static const char *const delivers[] = {"maildir", "lmtp", NULL};
static const char *const stores[] = {"sqlite", NULL};
static const char *const sts_modes[] = {"enforce", "testing", "none", "off", NULL}; /* enum sts_setting */
static const char *const trust_modes[] = {"enforce", "observe", "off", NULL};       /* enum verdict_mode */
static const char *const rotations[] = {"never", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const successes[] = {"users", "all", NULL}; /* enum report_success */
/* enum server_role; relay is an older spelling of mx */
static const char *const roles[] = {"mx", "submission", "local", "relay", NULL};
static const char *const tls_modes[] = {"none", "starttls", "implicit", NULL};

const struct config_key config_keys[] = {
    {"hostname", KEY_HOST, AT(hostname), 0, 0, NULL, NULL,
     "host name of this server in greetings, as in its MX and PTR records"},
    {"data_dir", KEY_TEXT, AT(data_dir), 0, 0, NULL, "/var/lib/mailboat",
     "data directory: the queue, the accounts and the mailboxes"},
    {"domains", KEY_LIST, AT(domains), 0, 10000, NULL, "[]",
     "domains whose mail is delivered here; add more with mailboat domain add"},
    {"user", KEY_TEXT, AT(user), 0, 0, NULL, "mailboat",
     "user name prefix: when started as root, processes run as USER-smtpd, USER-queue, and so on"},
    {"tls.certificate", KEY_TEXT, AT(tls.certificate), 0, 0, NULL, NULL,
     "PEM file of the certificate and its chain; default: a generated self-signed certificate"},
    {"tls.key", KEY_TEXT, AT(tls.key), 0, 0, NULL, NULL, "PEM file of the certificate's private key"},
    {"tls.either_way", KEY_FLAG, AT(tls.either_way), 0, 0, NULL, "true",
     "on submission ports, accept clients configured for the other TLS mode"},
    {"listeners", KEY_LISTENERS, AT(listeners), 0, 32, NULL, NULL,
     "ports to listen on; default 25, 587, 465 and 2525"},
    {"relay.via", KEY_CHOICE, AT(relay.via), 0, 0, vias, "mx",
     "route of outgoing mail: mx, smarthost, or auto (mx while outgoing port 25 works)"},
    {"relay.smarthost.host", KEY_HOST, AT(relay.smarthost.host), 0, 0, NULL, NULL,
     "host name of the smarthost, the server that relays all outgoing mail"},
    {"relay.smarthost.port", KEY_PORT_AUTO, AT(relay.smarthost.port), 1, 65535, NULL, "auto",
     "port of the smarthost; auto finds the one that works: 587, 2525 or 465"},
    {"relay.smarthost.tls", KEY_CHOICE, AT(relay.smarthost.tls), 0, 0, smarthost_tls, "auto",
     "TLS mode of the smarthost: starttls, implicit, none (only on loopback), or auto: as usual on its port"},
    {"relay.smarthost.user", KEY_TEXT, AT(relay.smarthost.user), 0, 0, NULL, NULL,
     "user name at the smarthost"},
    {"relay.smarthost.password_file", KEY_TEXT, AT(relay.smarthost.password_file), 0, 0, NULL, NULL,
     "file whose first line is the password"},
    {"relay.smarthost.password_command", KEY_TEXT, AT(relay.smarthost.password_command), 0, 0, NULL, NULL,
     "command, for sh -c, whose first line of output is the password; instead of password_file"},
    {"relay.smarthost.token_command", KEY_TEXT, AT(relay.smarthost.token_command), 0, 0, NULL, NULL,
     "command whose first line of output is an OAuth 2 token (OAUTHBEARER, XOAUTH2)"},
    {"relay.smarthost.connections", KEY_NUMBER, AT(relay.smarthost.connections), 1, RULE_CONNECTIONS_MAX,
     NULL, "20", "limit of concurrent deliveries to the smarthost"},
    {"relay.smarthost.rate", KEY_NUMBER, AT(relay.smarthost.rate), 0, RULE_RATE_MAX, NULL, "0",
     "limit of messages to the smarthost per minute; 0 disables it"},
    {"relay.routes", KEY_ROUTES, AT(relay.routes), 0, ROUTE_RULES_MAX, NULL, NULL,
     "a route or limits for a domain: [{domain: example.com, host: mx.inside.example, rate: 60}]"},
    {"relay.domains", KEY_RELAY_DOMAINS, AT(relay.domains), 0, 1000, NULL, NULL,
     "domains whose mail is passed on to their own server, as by a backup MX or gateway: [{domain: "
     "example.com, "
     "recipients_file: /etc/mailboat/example.com.recipients}]"},
    {"relay.tls", KEY_TLS, AT(relay.tls), 0, 10000, tls_wishes, NULL,
     "how mail to a domain is secured: {example.com: dane}"},
    {"relay.port", KEY_PORT, AT(relay.port), 1, 65535, NULL, "25",
     "port of the servers that MX records name"},
    {"relay.ca_file", KEY_TEXT, AT(relay.ca_file), 0, 0, NULL, NULL,
     "PEM file of CA certificates to trust instead of the system's"},
    {"mailboxes.deliver", KEY_CHOICE, AT(mailboxes.deliver), 0, 0, delivers, "maildir",
     "how mailboxes are filled: maildir (by Mailboat), or lmtp (by another program)"},
    {"mailboxes.quota", KEY_SIZE, AT(mailboxes.quota), 0, (uint64_t)1 << 60, NULL, "0",
     "size limit of a mailbox, such as 1GiB, unless mailboat user quota sets another; 0 disables it"},
    {"mailboxes.lmtp", KEY_TEXT, AT(mailboxes.lmtp), 0, 0, NULL, NULL,
     "where the LMTP server listens: unix:PATH, or ADDRESS:PORT; default DATA/dovecot/lmtp/socket"},
    {"mailboxes.address", KEY_TEXT, AT(mailboxes.address), 0, 0, NULL, NULL,
     "address on which IMAP and POP3 are served; default: all addresses"},
    {"mailboxes.imap", KEY_PORT, AT(mailboxes.imap), 0, 65535, NULL, "143",
     "port of IMAP with STARTTLS; 0 disables it"},
    {"mailboxes.imaps", KEY_PORT, AT(mailboxes.imaps), 0, 65535, NULL, "993",
     "port of IMAP with implicit TLS; 0 disables it"},
    {"mailboxes.pop3", KEY_PORT, AT(mailboxes.pop3), 0, 65535, NULL, "110",
     "port of POP3 with STARTTLS; 0 disables it"},
    {"mailboxes.pop3s", KEY_PORT, AT(mailboxes.pop3s), 0, 65535, NULL, "995",
     "port of POP3 with implicit TLS; 0 disables it"},
    {"resolver.servers", KEY_LIST, AT(resolver.servers), 0, 16, NULL, "[]",
     "DNS servers as address or address:port; default: the system's"},
    {"resolver.dnssec", KEY_CHOICE, AT(resolver.dnssec), 0, 0, dnssecs, "auto",
     "DNSSEC validation: auto (if the DNS servers support it), required, or off"},
    {"resolver.trust_anchor", KEY_TEXT, AT(resolver.trust_anchor), 0, 0, NULL, NULL,
     "file of DS or DNSKEY records to trust instead of the root zone's"},
    {"store", KEY_CHOICE, AT(store), 0, 0, stores, "sqlite", "where the queue is stored: sqlite"},
    {"web.address", KEY_HOST, AT(web.address), 0, 0, NULL, "127.0.0.1",
     "address on which settings are published for mail programs"},
    {"web.port", KEY_PORT, AT(web.port), 0, 65535, NULL, "0",
     "port of HTTP at web.address, such as 80; 0 disables it"},
    {"web.tls_port", KEY_PORT, AT(web.tls_port), 0, 65535, NULL, "0",
     "port of HTTPS at web.address, such as 443; 0 disables it"},
    {"mta_sts.mode", KEY_CHOICE, AT(mta_sts.mode), 0, 0, sts_modes, "enforce",
     "MTA-STS policy that web publishes for the domains of this server: enforce, testing, none or off"},
    {"mta_sts.max_age", KEY_DURATION, AT(mta_sts.max_age_ms), DAY_MS, YEAR_MS, NULL, "7d",
     "how long other servers keep the policy"},
    {"mta_sts.mx", KEY_LIST, AT(mta_sts.mx), 0, 64, NULL, "[]",
     "servers that the policy lists, as in the MX records: [mx.example.org, \"*.example.net\"]; none: "
     "hostname"},
    {"limits.message_size", KEY_SIZE, AT(limits.message_size), 64 * 1024, (uint64_t)1 << 40, NULL, "50MiB",
     "size limit of a message"},
    {"limits.recipients", KEY_NUMBER, AT(limits.recipients), 100, 5000, NULL, "1000",
     "limit of recipients per message"},
    {"limits.connections", KEY_NUMBER, AT(limits.connections), 1, 1000000, NULL, "10000",
     "limit of concurrent connections"},
    {"limits.connections_per_client", KEY_NUMBER, AT(limits.connections_per_client), 1, 1000000, NULL, "100",
     "limit of concurrent connections per client address or local user; not for loopback and root"},
    {"limits.unknown_recipients", KEY_NUMBER, AT(limits.unknown_recipients), 0, 1000, NULL, "50",
     "limit of unknown recipients per client address and hour, beyond half of those it sends mail to; 0 "
     "disables it"},
    {"limits.deliveries", KEY_NUMBER, AT(limits.deliveries), 1, SCHEDULE_AWAY_MAX, NULL, "10000",
     "limit of concurrent deliveries to other servers"},
    {"submission.messages_per_hour", KEY_NUMBER, AT(submission.messages_per_hour), 0, 100000000, NULL, "0",
     "limit of messages per account and hour; 0 disables it"},
    {"submission.recipients_per_hour", KEY_NUMBER, AT(submission.recipients_per_hour), 0, 100000000, NULL,
     "0", "limit of recipients per account and hour; 0 disables it"},
    {"submission.send_as", KEY_LIST, AT(submission.send_as), 0, 10000, NULL, "[]",
     "additional sender addresses per account: [ada@example.org *@example.org]"},
    {"submission.trusted", KEY_NETWORKS, AT(submission.trusted), 0, 64, NULL, "[]",
     "addresses or networks whose programs may send on port 25 without signing in: [127.0.0.1]"},
    {"submission.fix_bare_newlines", KEY_FLAG, AT(submission.fix_bare_newlines), 0, 0, NULL, "false",
     "convert a bare LF in submitted messages to CRLF instead of rejecting them"},
    {"submission.local.messages_per_hour", KEY_NUMBER, AT(submission.local.messages_per_hour), 0, 100000000,
     NULL, "1000", "limit of messages per local user and hour, except root; 0 disables it"},
    {"submission.local.recipients_per_hour", KEY_NUMBER, AT(submission.local.recipients_per_hour), 0,
     100000000, NULL, "5000", "limit of recipients per local user and hour; 0 disables it"},
    {"submission.local.protect_accounts", KEY_FLAG, AT(submission.local.protect_accounts), 0, 0, NULL, "true",
     "local users may not send as an account, unless it has their name or submission.local.users allows it"},
    {"submission.local.users", KEY_LOCAL_USERS, AT(submission.local.users), 0, 1000, NULL, NULL,
     "local users with their own rules: [{user: www-data, senders: [\"*@example.org\"], "
     "messages_per_hour: 5000}]"},
    {"forward.srs", KEY_FLAG, AT(forward.srs), 0, 0, NULL, "true",
     "rewrite the envelope sender of mail that is forwarded from one other domain to another, so that SPF "
     "passes"},
    {"forward.seal", KEY_FLAG, AT(forward.seal), 0, 0, NULL, "true",
     "seal mail that is forwarded for other domains (ARC), so that the next server can see what was found "
     "here"},
    {"reports.success", KEY_CHOICE, AT(reports.success), 0, 0, successes, "users",
     "who can request reports of successful delivery: users, or all: senders on port 25, too"},
    {"trust.mode", KEY_CHOICE, AT(trust.mode), 0, 0, trust_modes, "enforce",
     "mail on port 25 that fails DMARC: enforce the sender's policy, observe (deliver and record), or off "
     "(do "
     "not check)"},
    {"trust.arc_trusted", KEY_LIST, AT(trust.arc_trusted), 0, 1000, NULL, "[]",
     "domains of forwarders and mailing lists whose ARC seals are believed: [lists.example.net]"},
    {"trust.forwarders", KEY_LIST, AT(trust.forwarders), 0, 1000, NULL, "[]",
     "servers that forward mail to users here, as addresses, networks or names: [192.0.2.7, "
     "\"*.mx.example.net\"]"},
    {"trust.junk_folder", KEY_TEXT, AT(trust.junk_folder), 0, 0, NULL, "Junk",
     "folder of a mailbox for mail that its sender's policy puts in quarantine"},
    {"trust.reports.send", KEY_LIST, AT(trust.reports.send), 0, 2, NULL, "[]",
     "reports that other domains get once a day, if they ask for them in DNS: tls (on the TLS of mail sent "
     "to "
     "them), dmarc (on mail that claims to be from them)"},
    {"trust.reports.from", KEY_TEXT, AT(trust.reports.from), 0, 0, NULL, NULL,
     "address in From of these reports; default: postmaster at the hostname"},
    {"trust.reports.exclude", KEY_LIST, AT(trust.reports.exclude), 0, 1000, NULL, "[]",
     "domains that get no reports: [example.net]"},
    {"dkim.algorithms", KEY_LIST, AT(dkim.algorithms), 0, DKIM_ALGORITHMS, NULL, "[rsa]",
     "algorithms of the DKIM keys of each domain: rsa, and ed25519 as a second; [] makes no keys"},
    {"dkim.selector", KEY_TEXT, AT(dkim.selector), 0, 0, NULL, "auto",
     "selector of new DKIM keys, to which a number is added if it is taken; auto chooses one"},
    {"dkim.rotate", KEY_DURATION, AT(dkim.rotate_ms), DAY_MS, 10 * YEAR_MS, rotations, "180d",
     "age of a DKIM key at which its successor is prepared, or never"},
    {"queue.retry.first", KEY_DURATION, AT(queue.first_ms), 1, YEAR_MS, NULL, "5m",
     "time to the second attempt"},
    {"queue.retry.factor", KEY_FACTOR, AT(queue.factor), 1, 100, NULL, "2",
     "factor by which each wait is longer than the one before"},
    {"queue.retry.max", KEY_DURATION, AT(queue.max_ms), 1, YEAR_MS, NULL, "4h",
     "the longest wait between two attempts"},
    {"queue.retry.expire", KEY_DURATION, AT(queue.expire_ms), SECOND_MS, YEAR_MS, NULL, "5d",
     "when to give up and notify the sender"},
    {"queue.warn_after", KEY_DURATION, AT(queue.warn_after_ms), SECOND_MS, YEAR_MS, NULL, "4h",
     "when to notify the sender, once, that the message is delayed"},
    {"queue.hold", KEY_FLAG, AT(queue.hold), 0, 0, NULL, "false",
     "accept and queue messages, deliver none: for maintenance"},
    {"log.format", KEY_CHOICE, AT(log.format), 0, 0, formats, "logfmt", "logfmt or json"},
    {"log.level", KEY_CHOICE, AT(log.level), 0, 0, levels, "info", "minimum level that is logged"},
    {"processes.smtpd", KEY_NUMBER, AT(smtpd_count), 1, 64, NULL, NULL,
     "number of smtpd processes; default: one per core"},
};
const size_t config_key_count = ARRAY_LENGTH(config_keys);

const struct config_key listener_keys[] = {
    {"address", KEY_HOST, LISTENER(address), 0, 0, NULL, NULL,
     "IPv4 or IPv6 address; default: all addresses"},
    {"port", KEY_PORT, LISTENER(port), 1, 65535, NULL, NULL, "port to listen on"},
    {"role", KEY_CHOICE, LISTENER(role), 0, 0, roles, NULL,
     "mx (mail for local domains from other servers) or submission; follows from 25, 587, 465, 2525"},
    {"tls", KEY_CHOICE, LISTENER(tls), 0, 0, tls_modes, NULL,
     "starttls, implicit, or none; follows from the port"},
    {"proxy", KEY_NETWORKS, LISTENER(proxies), 0, 256, NULL, NULL,
     "load balancers: connections from these addresses or networks must begin with a PROXY header"},
    {"old_tls", KEY_NETWORKS, LISTENER(old_tls), 0, 64, NULL, NULL,
     "devices that may use TLS 1.0 and 1.1 on this port: [192.0.2.7, 192.0.2.16/28]; no other client may"},
};
const size_t listener_key_count = ARRAY_LENGTH(listener_keys);

const struct config_key route_keys[] = {
    {"domain", KEY_TEXT, ROUTE(domain), 0, 0, NULL, NULL,
     "the domain; *.example.com for all subdomains; * for all other domains"},
    {"via", KEY_CHOICE, ROUTE(via), 0, 0, vias, NULL,
     "route of the domain: mx, smarthost or auto; default: relay.via"},
    {"host", KEY_HOST, ROUTE(host), 0, 0, NULL, NULL,
     "server that accepts the mail of the domain, instead of its MX hosts"},
    {"port", KEY_PORT, ROUTE(port), 1, 65535, NULL, NULL, "port of the server; default: relay.port"},
    {"tls", KEY_CHOICE, ROUTE(tls), 0, 0, route_tls, NULL,
     "TLS to the server: may, encrypt, verify, implicit or none; default may"},
    {"connections", KEY_NUMBER, ROUTE(connections), 1, RULE_CONNECTIONS_MAX, NULL, NULL,
     "limit of concurrent deliveries; default 20"},
    {"rate", KEY_NUMBER, ROUTE(rate), 1, RULE_RATE_MAX, NULL, NULL, "limit of messages per minute"},
};
const size_t route_key_count = ARRAY_LENGTH(route_keys);

const struct config_key local_user_keys[] = {
    {"user", KEY_TEXT, LOCAL_USER(user), 0, 0, NULL, NULL, "name or number of a user of this machine"},
    {"messages_per_hour", KEY_NUMBER, LOCAL_USER(messages_per_hour), 0, 100000000, NULL, NULL,
     "limit of messages per hour; default: submission.local.messages_per_hour"},
    {"recipients_per_hour", KEY_NUMBER, LOCAL_USER(recipients_per_hour), 0, 100000000, NULL, NULL,
     "limit of recipients per hour; default: submission.local.recipients_per_hour"},
    {"senders", KEY_LIST, LOCAL_USER(senders), 0, 1000, NULL, NULL,
     "the only addresses that the user may send as: [shop@example.org, \"*@example.net\"]; \"*\" is any"},
};
const size_t local_user_key_count = ARRAY_LENGTH(local_user_keys);

const struct config_key relay_domain_keys[] = {
    {"domain", KEY_TEXT, RELAY_DOMAIN(domain), 0, 0, NULL, NULL,
     "the domain; its MX or relay.routes say where its mail goes"},
    {"recipients", KEY_LIST, RELAY_DOMAIN(recipients), 0, 10000, NULL, NULL,
     "the addresses that exist there: [ada, bob@example.com]"},
    {"recipients_file", KEY_TEXT, RELAY_DOMAIN(recipients_file), 0, 0, NULL, NULL,
     "file of such addresses, one per line; it is read again at a reload"},
};
const size_t relay_domain_key_count = ARRAY_LENGTH(relay_domain_keys);
