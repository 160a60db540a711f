/* SPDX-License-Identifier: Apache-2.0 */
#include "config/keys.h"

#include "core/queue/schedule.h"

#define AT(member) offsetof(struct config, member)
#define ROUTE(member) offsetof(struct route_rule, member)
#define LOCAL_USER(member) offsetof(struct config_local_user, member)
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
static const char *const formats[] = {"logfmt", "json", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const successes[] = {"users", "all", NULL}; /* enum report_success */
static const char *const roles[] = {"relay", "submission", "local", NULL};
static const char *const tls_modes[] = {"none", "starttls", "implicit", NULL};

const struct config_key config_keys[] = {
    {"hostname", KEY_HOST, AT(hostname), 0, 0, NULL, NULL,
     "the name by which this server greets, as its MX and PTR records have it"},
    {"data_dir", KEY_TEXT, AT(data_dir), 0, 0, NULL, "/var/lib/mailboat",
     "where the queue, the accounts and the mailboxes live"},
    {"domains", KEY_LIST, AT(domains), 0, 10000, NULL, "[]",
     "domains whose mail is delivered here; more can be added by: mailboat domain add"},
    {"user", KEY_TEXT, AT(user), 0, 0, NULL, "mailboat",
     "started as root, each process becomes USER-smtpd, USER-queue and so on"},
    {"tls.certificate", KEY_TEXT, AT(tls.certificate), 0, 0, NULL, NULL,
     "PEM file of the certificate and its chain; without it a self-signed one is made"},
    {"tls.key", KEY_TEXT, AT(tls.key), 0, 0, NULL, NULL, "PEM file of the certificate's private key"},
    {"tls.either_way", KEY_FLAG, AT(tls.either_way), 0, 0, NULL, "true",
     "on submission ports: serve clients that were told the other TLS mode, too"},
    {"listeners", KEY_LISTENERS, AT(listeners), 0, 32, NULL, NULL,
     "ports to listen on; 25, 587, 465 and 2525 unless said"},
    {"relay.via", KEY_CHOICE, AT(relay.via), 0, 0, vias, "mx",
     "how mail leaves: mx, smarthost, or auto: mx while outgoing port 25 works, else the smarthost"},
    {"relay.smarthost.host", KEY_HOST, AT(relay.smarthost.host), 0, 0, NULL, NULL,
     "the outgoing server that takes all mail for other domains"},
    {"relay.smarthost.port", KEY_PORT_AUTO, AT(relay.smarthost.port), 1, 65535, NULL, "auto",
     "its port; auto finds the one that works: 587, 2525 or 465"},
    {"relay.smarthost.tls", KEY_CHOICE, AT(relay.smarthost.tls), 0, 0, smarthost_tls, "auto",
     "starttls or implicit; none is for loopback alone; auto follows the port"},
    {"relay.smarthost.user", KEY_TEXT, AT(relay.smarthost.user), 0, 0, NULL, NULL,
     "user name at the smarthost"},
    {"relay.smarthost.password_file", KEY_TEXT, AT(relay.smarthost.password_file), 0, 0, NULL, NULL,
     "file whose first line is the password"},
    {"relay.smarthost.password_command", KEY_TEXT, AT(relay.smarthost.password_command), 0, 0, NULL, NULL,
     "or a command, for sh -c, whose first line is the password"},
    {"relay.smarthost.token_command", KEY_TEXT, AT(relay.smarthost.token_command), 0, 0, NULL, NULL,
     "or one whose first line is an OAuth 2 token (OAUTHBEARER, XOAUTH2)"},
    {"relay.smarthost.connections", KEY_NUMBER, AT(relay.smarthost.connections), 1, RULE_CONNECTIONS_MAX,
     NULL, "20", "deliveries to it at once, at most"},
    {"relay.smarthost.rate", KEY_NUMBER, AT(relay.smarthost.rate), 0, RULE_RATE_MAX, NULL, "0",
     "messages to it in a minute, at most; 0 is no limit"},
    {"relay.routes", KEY_ROUTES, AT(relay.routes), 0, ROUTE_RULES_MAX, NULL, NULL,
     "another way, or limits, for a domain: [{domain: example.com, host: mx.inside.example, rate: 60}]"},
    {"relay.tls", KEY_TLS, AT(relay.tls), 0, 10000, tls_wishes, NULL,
     "how mail to a domain is secured: {example.com: dane}"},
    {"relay.port", KEY_PORT, AT(relay.port), 1, 65535, NULL, "25",
     "port of the servers that MX records name"},
    {"relay.ca_file", KEY_TEXT, AT(relay.ca_file), 0, 0, NULL, NULL,
     "PEM file of CA certificates to trust instead of the system's"},
    {"mailboxes.deliver", KEY_CHOICE, AT(mailboxes.deliver), 0, 0, delivers, "maildir",
     "into Maildir, or by lmtp to another program"},
    {"mailboxes.quota", KEY_SIZE, AT(mailboxes.quota), 0, (uint64_t)1 << 60, NULL, "0",
     "octets that a mailbox may hold, as 1GiB, where mailboat user quota says nothing else; 0 is no limit"},
    {"mailboxes.lmtp", KEY_TEXT, AT(mailboxes.lmtp), 0, 0, NULL, NULL,
     "where the LMTP server listens: unix:PATH, or ADDRESS:PORT; DATA/dovecot/lmtp/socket unless said"},
    {"mailboxes.address", KEY_TEXT, AT(mailboxes.address), 0, 0, NULL, NULL,
     "address on which IMAP and POP3 are served; every one unless said"},
    {"mailboxes.imap", KEY_PORT, AT(mailboxes.imap), 0, 65535, NULL, "143",
     "port of IMAP with STARTTLS; 0 is none"},
    {"mailboxes.imaps", KEY_PORT, AT(mailboxes.imaps), 0, 65535, NULL, "993",
     "port of IMAP with TLS from the first byte; 0 is none"},
    {"mailboxes.pop3", KEY_PORT, AT(mailboxes.pop3), 0, 65535, NULL, "110",
     "port of POP3 with STARTTLS; 0 is none"},
    {"mailboxes.pop3s", KEY_PORT, AT(mailboxes.pop3s), 0, 65535, NULL, "995",
     "port of POP3 with TLS from the first byte; 0 is none"},
    {"resolver.servers", KEY_LIST, AT(resolver.servers), 0, 16, NULL, "[]",
     "DNS servers as address or address:port; the system's unless said"},
    {"resolver.dnssec", KEY_CHOICE, AT(resolver.dnssec), 0, 0, dnssecs, "auto",
     "auto validates where the resolvers pass DNSSEC on; required fails where they do not; off"},
    {"resolver.trust_anchor", KEY_TEXT, AT(resolver.trust_anchor), 0, 0, NULL, NULL,
     "file of DS or DNSKEY records to trust instead of the root zone's"},
    {"store", KEY_CHOICE, AT(store), 0, 0, stores, "sqlite", "where the queue is kept"},
    {"web.address", KEY_HOST, AT(web.address), 0, 0, NULL, "127.0.0.1",
     "address on which settings are published for mail programs"},
    {"web.port", KEY_PORT, AT(web.port), 0, 65535, NULL, "0", "port of HTTP there, as 80; 0 is none"},
    {"web.tls_port", KEY_PORT, AT(web.tls_port), 0, 65535, NULL, "0",
     "port of HTTPS there, as 443; 0 is none"},
    {"limits.message_size", KEY_SIZE, AT(limits.message_size), 64 * 1024, (uint64_t)1 << 40, NULL, "50MiB",
     "octets of the largest message"},
    {"limits.recipients", KEY_NUMBER, AT(limits.recipients), 100, 5000, NULL, "1000",
     "recipients of one message"},
    {"limits.connections", KEY_NUMBER, AT(limits.connections), 1, 1000000, NULL, "10000",
     "connections at once"},
    {"limits.connections_per_client", KEY_NUMBER, AT(limits.connections_per_client), 1, 1000000, NULL, "100",
     "connections at once from one address, or one local user; loopback and root have no such limit"},
    {"limits.unknown_recipients", KEY_NUMBER, AT(limits.unknown_recipients), 0, 1000, NULL, "50",
     "unknown recipients that one address may name in an hour, beyond half of those it sends mail to; 0: any "
     "number"},
    {"limits.deliveries", KEY_NUMBER, AT(limits.deliveries), 1, SCHEDULE_AWAY_MAX, NULL, "10000",
     "deliveries to other servers at once"},
    {"submission.messages_per_hour", KEY_NUMBER, AT(submission.messages_per_hour), 0, 100000000, NULL, "0",
     "messages that one account may send in an hour; 0 is no limit"},
    {"submission.recipients_per_hour", KEY_NUMBER, AT(submission.recipients_per_hour), 0, 100000000, NULL,
     "0", "recipients that one account may write to in an hour; 0 is no limit"},
    {"submission.send_as", KEY_LIST, AT(submission.send_as), 0, 10000, NULL, "[]",
     "more that an account may send as: [ada@example.org *@example.org]"},
    {"submission.fix_bare_newlines", KEY_FLAG, AT(submission.fix_bare_newlines), 0, 0, NULL, "false",
     "a lone LF in what is submitted becomes CRLF instead of being refused"},
    {"submission.local.messages_per_hour", KEY_NUMBER, AT(submission.local.messages_per_hour), 0, 100000000,
     NULL, "1000", "messages that one local user, root aside, may send in an hour; 0 is no limit"},
    {"submission.local.recipients_per_hour", KEY_NUMBER, AT(submission.local.recipients_per_hour), 0,
     100000000, NULL, "5000", "recipients that one local user may write to in an hour; 0 is no limit"},
    {"submission.local.protect_accounts", KEY_FLAG, AT(submission.local.protect_accounts), 0, 0, NULL, "true",
     "local users do not send as an account of mailboat user, unless it has their name or local.users allows "
     "it"},
    {"submission.local.users", KEY_LOCAL_USERS, AT(submission.local.users), 0, 1000, NULL, NULL,
     "local users with rules of their own: [{user: www-data, senders: [\"*@example.org\"], "
     "messages_per_hour: 5000}]"},
    {"reports.success", KEY_CHOICE, AT(reports.success), 0, 0, successes, "users",
     "who may be told that mail was delivered: users, who sign in, or all who ask on port 25"},
    {"queue.retry.first", KEY_DURATION, AT(queue.first_ms), 1, YEAR_MS, NULL, "5m",
     "time to the second attempt"},
    {"queue.retry.factor", KEY_FACTOR, AT(queue.factor), 1, 100, NULL, "2",
     "how much longer each wait is than the one before"},
    {"queue.retry.max", KEY_DURATION, AT(queue.max_ms), 1, YEAR_MS, NULL, "4h",
     "the longest wait between two attempts"},
    {"queue.retry.expire", KEY_DURATION, AT(queue.expire_ms), SECOND_MS, YEAR_MS, NULL, "5d",
     "when to give up and tell the sender"},
    {"queue.warn_after", KEY_DURATION, AT(queue.warn_after_ms), SECOND_MS, YEAR_MS, NULL, "4h",
     "when to tell the sender, once, that the mail is delayed"},
    {"queue.hold", KEY_FLAG, AT(queue.hold), 0, 0, NULL, "false",
     "accept and keep, deliver nothing: for maintenance"},
    {"log.format", KEY_CHOICE, AT(log.format), 0, 0, formats, "logfmt", "logfmt or json"},
    {"log.level", KEY_CHOICE, AT(log.level), 0, 0, levels, "info", "the least level that is logged"},
    {"processes.smtpd", KEY_NUMBER, AT(smtpd_count), 1, 64, NULL, NULL,
     "smtpd processes; one a core unless said"},
};
const size_t config_key_count = ARRAY_LENGTH(config_keys);

const struct config_key listener_keys[] = {
    {"address", KEY_HOST, LISTENER(address), 0, 0, NULL, NULL,
     "IPv4 or IPv6 address; every address unless said"},
    {"port", KEY_PORT, LISTENER(port), 1, 65535, NULL, NULL, "the port"},
    {"role", KEY_CHOICE, LISTENER(role), 0, 0, roles, NULL,
     "relay (mail for our domains from other servers) or submission; follows from 25, 587, 465, 2525"},
    {"tls", KEY_CHOICE, LISTENER(tls), 0, 0, tls_modes, NULL,
     "starttls, implicit, or none; follows from the port"},
};
const size_t listener_key_count = ARRAY_LENGTH(listener_keys);

const struct config_key route_keys[] = {
    {"domain", KEY_TEXT, ROUTE(domain), 0, 0, NULL, NULL,
     "example.com; *.example.com for those below it; * for all others"},
    {"via", KEY_CHOICE, ROUTE(via), 0, 0, vias, NULL, "mx, smarthost or auto; as relay.via unless said"},
    {"host", KEY_HOST, ROUTE(host), 0, 0, NULL, NULL,
     "the server that takes its mail, whatever its MX records say"},
    {"port", KEY_PORT, ROUTE(port), 1, 65535, NULL, NULL, "of that server; relay.port unless said"},
    {"tls", KEY_CHOICE, ROUTE(tls), 0, 0, route_tls, NULL,
     "of that server: may, encrypt, verify, implicit or none; may unless said"},
    {"connections", KEY_NUMBER, ROUTE(connections), 1, RULE_CONNECTIONS_MAX, NULL, NULL,
     "deliveries at once, at most; 20 unless said"},
    {"rate", KEY_NUMBER, ROUTE(rate), 1, RULE_RATE_MAX, NULL, NULL, "messages in a minute, at most"},
};
const size_t route_key_count = ARRAY_LENGTH(route_keys);

const struct config_key local_user_keys[] = {
    {"user", KEY_TEXT, LOCAL_USER(user), 0, 0, NULL, NULL, "name or number of a user of this machine"},
    {"messages_per_hour", KEY_NUMBER, LOCAL_USER(messages_per_hour), 0, 100000000, NULL, NULL,
     "as submission.local.messages_per_hour unless said"},
    {"recipients_per_hour", KEY_NUMBER, LOCAL_USER(recipients_per_hour), 0, 100000000, NULL, NULL,
     "as submission.local.recipients_per_hour unless said"},
    {"senders", KEY_LIST, LOCAL_USER(senders), 0, 1000, NULL, NULL,
     "the addresses that it may send as, and no others: [shop@example.org, \"*@example.net\"]; \"*\" is any"},
};
const size_t local_user_key_count = ARRAY_LENGTH(local_user_keys);
