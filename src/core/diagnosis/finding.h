/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finding: what the facts say, one question each, answered by yes, no or not
 * known, for IPv4, for IPv6, or for both. Rules and guards are made of these.
 *
 * A new finding is one line in FINDINGS and one case in the function of its
 * group. KNOWN_NOT where the facts behind it were not gathered: then
 * `source` names what the shell can get.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_FINDING_H
#define MAILBOAT_CORE_DIAGNOSIS_FINDING_H

#include "core/diagnosis/facts.h"

enum finding_family { FAMILY_BOTH, FAMILY_4, FAMILY_6 };

/*
 * name, source (enum fact_kind, 0: the examination itself), evidence in words ({…}: see words.h).
 * "The ports" are those that the purpose needs (submission or 25) and that the
 * host's provider, where it is known, offers.
 */
// clang-format off
#define FINDINGS(X) \
    X(NONE, 0, "") \
    /* ---- how the ports were reached ---- */ \
    X(READY, 0, "{ready} can be used") \
    X(SILENT_ALL, 0, "{silent} did not answer at all") \
    X(SILENT_SOME, 0, "{silent} did not answer at all") \
    X(REFUSED_ALL, 0, "{refused} refused the connection") \
    X(REFUSED_SOME, 0, "{refused} refused the connection") \
    X(UNREACHABLE_ALL, 0, "{unreachable} could not be reached ({why})") \
    X(UNREACHABLE_SOME, 0, "{unreachable} could not be reached ({why})") \
    X(PROHIBITED, 0, "a firewall answered that {unreachable} may not be used") \
    X(REJECTED_BY_HOST, 0, "the host's own firewall answered on {rejected} (ICMP from {icmp_from})") \
    X(REJECTED_ON_WAY, 0, "a firewall answered on {rejected} (ICMP from {icmp_from}), and not the host") \
    X(NO_ROUTE, 0, "this machine has no route to the address") \
    X(BLOCKED_ALL, 0, "no port let the connection through") \
    X(CONNECTED_SOME, 0, "{connected} accepted the connection") \
    X(SILENT_25, 0, "25 did not answer") \
    X(BLOCKED_25, 0, "25 let no connection through") \
    X(FOR_SERVERS, 0, "mail is to be delivered to other servers") \
    X(ONLY_25, 0, "25 alone was looked at") \
    X(CONNECTED_25, 0, "25 accepted the connection") \
    X(READY_25, 0, "25 answers as the mail server that was meant") \
    X(BLOCKED_SUBMISSION, 0, "{blocked} let no connection through") \
    X(ALLOW_LIST, 0, "587 is open while {refused} refuse immediately") \
    X(SILENT_587_ONLY, 0, "587 is silent and {connected} answers") \
    X(REFUSED_AT_ONCE, 0, \
      "the refusal came in {refused_ms} ms, quicker than the host can answer ({rtt} ms)") \
    X(ONLY_PORTS_NOT_OFFERED, 0, "{provider} does not offer the port that was asked for") \
    X(NO_MAIL_LEAVES, 0, "no mail port of any host that was tried lets a connection through") \
    X(NOTHING_LEAVES, 0, "the web cannot be reached from here either") \
    X(LAST_RESORT_READY, 0, "443 accepts mail (ALPN smtp)") \
    /* ---- compared with other hosts and with the web ---- */ \
    X(CONTROL_WORKS, FACT_CONTROLS, "{control} answers from here") \
    X(CONTROL_SAME_WORKS, FACT_CONTROLS, "{control} answers from here on the same port") \
    X(CONTROL_SAME_FAILS, FACT_CONTROLS, "other mail servers do not answer from here on {blocked} either") \
    X(CONTROL_ALL_FAIL, FACT_CONTROLS, "no other mail server answers from here on any port") \
    X(CONTROL_FOREIGN, FACT_CONTROLS, "{control_foreign} has a wrong certificate from here, too") \
    X(CONTROL_HTTP, FACT_CONTROLS, "a web server answers in the place of {control_foreign}, too") \
    X(WEB_WORKS, FACT_WEB, "the same host answers on its web port") \
    X(WEB_FAILS, FACT_WEB, "the same host does not answer on its web port either") \
    X(WEB_ELSEWHERE, FACT_CONTROLS, "the web can be reached from here") \
    X(ROUTER_ANSWERS, FACT_WEB, "the web port of {address} belongs to a router ({router})") \
    X(WEB_FOREIGN, FACT_WEB, "the web port of the host has a wrong certificate, too") \
    X(OTHER_FAMILY_WORKS, 0, "the other address family works") \
    X(SIX_DEAD, 0, "{address6} does not answer while {address4} does") \
    /* ---- who answers ---- */ \
    X(KNOWN_PROVIDER, 0, "{host} belongs to {provider}") \
    X(FOREIGN_CERTIFICATE, 0, "the certificate on {foreign} is for {names}, issued by {issuer}") \
    X(NOT_TRUSTED_HERE, 0, \
      "{provider}'s certificate on {untrusted} was issued by {issuer}, which no one here trusts") \
    X(FOREIGN_SEVERAL, 0, "the same wrong certificate is on {foreign}") \
    X(RIGHT_CERTIFICATE_TOO, 0, "the certificate on {right} is the right one") \
    X(CPANEL_GREETING, 0, "the greeting is that of a cPanel host's Exim: \"{greeting}\"") \
    X(CPANEL_ELSEWHERE, 0, "another mail server than {host} greets as a cPanel host: \"{greeting}\"") \
    X(EXIM_GREETING, 0, "the greeting is Exim's, which {provider} does not use: \"{greeting}\"") \
    X(EHLO_OWN_ADDRESS, 0, "the server sees us by this machine's own address") \
    X(CONNECTED_AT_ONCE, 0, "the connection took {connect_ms} ms, less than any other host takes") \
    X(PROXY_AT_ONCE, 0, \
      "the connection took {connect_ms} ms, less than any other host takes, and nobody spoke") \
    X(FAMILIES_DIFFER, 0, \
      "the certificate is right over one address family, and for {names} over the other") \
    X(HOSTER_NAMED, 0, "{hoster} names itself in the greeting or the certificate") \
    X(SCANNER_ON_MACHINE, 0, "the certificate was issued by {issuer}, a virus scanner on this machine") \
    X(SCANNER_ON_NETWORK, 0, "the certificate was issued by {issuer}, a firewall that inspects TLS") \
    X(HTTP_ANSWERS, 0, "a web server answers on {http}") \
    X(PORTAL_REDIRECT, 0, "the web server sends to another page: \"{said}\"") \
    X(OTHER_PROTOCOL, 0, "{other_protocol}") \
    X(OTHER_GREETING, 0, "another host greets: \"{greeting}\"") \
    X(IDENTITY_IN_DOUBT, 0, "it is not certain that the server that was meant answers") \
    /* ---- DNS ---- */ \
    X(NAME_UNKNOWN, 0, "DNS has no such name") \
    X(NAME_WELL_KNOWN, 0, "a server of a known provider, whose name exists") \
    X(RESOLVER_ANSWERS, 0, "the resolver answers, and over a network") \
    X(NAME_WITHOUT_ADDRESS, 0, "the name has no address") \
    X(NAME_FAILS, 0, "the DNS lookup failed{dns_said}") \
    X(NAME_TIMED_OUT, 0, "the resolver {resolver} did not answer") \
    X(NO_RESOLVER, 0, "no resolver is configured") \
    X(NAME_REFUSED, 0, "the resolver {resolver} refuses to answer") \
    X(OTHER_RESOLVER_KNOWS, FACT_OTHER_RESOLVER, "another resolver knows the name") \
    X(OTHER_RESOLVER_DISAGREES, FACT_OTHER_RESOLVER, \
      "another resolver gives {other_address}, this one {address}") \
    X(OTHER_RESOLVER_FAILS, FACT_OTHER_RESOLVER, "another resolver does not know it either") \
    X(ADDRESS_IMPOSSIBLE, 0, "the name has the address {address}, which no mail server can have") \
    X(ADDRESS_PRIVATE, 0, "the name has the private address {address}") \
    X(NAME_INVENTED, FACT_OTHER_RESOLVER, "other resolvers know no such name") \
    X(PRIVATE_HOST, 0, "{address} is a private address") \
    X(SPLIT_NAME, FACT_OTHER_RESOLVER, \
      "the name is known inside this network only, or has another address outside") \
    X(FROM_HOSTS_FILE, 0, "the address is that of a line in /etc/hosts: {hosts_address} {host}") \
    X(NAMED_TO_LOOPBACK, 0, "the name leads to {address}, this machine itself") \
    X(ADDRESS_FAKE, 0, "{address} is an address that a proxy program on the machine or router gives out") \
    X(ADDRESS_CLOUDFLARE, 0, "{address} belongs to Cloudflare's web proxy, which carries no mail") \
    X(NEAR_PROVIDER, 0, "{near} is spelled almost the same") \
    X(MAIL_DOMAIN, FACT_OTHER_RESOLVER, "{host} is a mail domain, with MX records, and not a server's name") \
    X(KNOWN_MX, 0, "{host} is a large provider's server for incoming mail, which is hardly down") \
    X(NAMED_LOCALHOST, 0, "{host} is this machine itself") \
    X(HOST_OWN, 0, "{host} is this machine") \
    X(NAMED_BY_ADDRESS, 0, "the server was named by its address") \
    X(SMARTHOST_SET, 0, "a smarthost is configured on this machine") \
    X(ONLY_SIX, 0, "the host has IPv6 addresses only") \
    X(ONLY_FOUR, 0, "the host has IPv4 addresses only") \
    /* ---- TLS ---- */ \
    X(STARTTLS_MISSING, 0, "STARTTLS is not offered on {no_starttls}") \
    X(STARTTLS_GONE, 0, "STARTTLS is not offered on {no_starttls}, though it is known to be") \
    X(STARTTLS_MASKED, 0, "the greeting or the EHLO reply is overwritten: \"{masked}\"") \
    X(STARTTLS_ELSEWHERE, 0, "the same server offers STARTTLS on another port, or is known to") \
    X(STARTTLS_REFUSED, 0, "STARTTLS was offered and then answered \"{starttls_said}\"") \
    X(STARTTLS_UNKNOWN, 0, "the server does not know STARTTLS that it offered: \"{starttls_said}\"") \
    X(STARTTLS_BROKEN, 0, "after STARTTLS was agreed to, plain text came") \
    X(TLS_MODES_SWAPPED, 0, "{swapped} uses the other TLS mode") \
    X(TLS_RESET, 0, "the connection was cut after our first TLS message on {tls_cut}") \
    X(SERVER_CUTS_TLS, FACT_CONTROLS, "TLS with other servers works from here") \
    X(TLS_RESET_SEVERAL, 0, "that happened on several ports") \
    X(TLS_STALLED, 0, \
      "TLS stalled on {tls_stalled} after {tls_received} bytes: larger packets do not arrive") \
    X(TLS_VERSION_OLD, 0, "the server speaks only TLS versions that are too old") \
    X(TLS_NO_CIPHER, 0, "the server and this program have no cipher in common") \
    X(TLS_CLIENT_CERTIFICATE, 0, "the server asks for a client certificate") \
    X(TLS_BROKEN, 0, "the TLS handshake failed on {tls_broken} ({said})") \
    X(CERTIFICATE_DATES, 0, "the certificate is not valid at this machine's time") \
    X(CERTIFICATES_ALL_DATED, FACT_CONTROLS, \
      "other hosts' certificates are not valid at this machine's time either") \
    X(CERTIFICATE_EXPIRED, 0, "the certificate on {expired} expired on {not_after}") \
    X(CERTIFICATE_NOT_YET, 0, "the certificate on {not_yet} is valid from {not_before} on") \
    X(CERTIFICATE_OTHER_NAME, 0, "the certificate is valid, for {names}") \
    X(CERTIFICATE_SELF_SIGNED, 0, "the certificate is self-signed ({subject})") \
    X(CERTIFICATE_UNKNOWN, 0, "no CA that this machine trusts issued it ({issuer})") \
    X(CHAIN_SHORT, 0, "the server sends its own certificate alone, and {issuer} is an intermediate CA") \
    X(CERTIFICATES_ALL_UNKNOWN, FACT_CONTROLS, \
      "other hosts' certificates are not trusted on this machine either") \
    X(CERTIFICATE_INVALID, 0, "the certificate is not valid ({said})") \
    /* ---- what the server said ---- */ \
    X(LATER, 0, "the server answered \"{said}\"") \
    X(TOO_MANY, 0, "the server counts too many connections: \"{said}\"") \
    X(BLOCK_LISTED, 0, "the server names a block list or this address: \"{said}\"") \
    X(REVERSE_DNS, 0, "the server asks for a reverse DNS name: \"{said}\"") \
    X(HELO_REFUSED, 0, "the server rejects the name in EHLO: \"{said}\"") \
    X(UNWILLING, 0, "the server answered \"{said}\"") \
    X(MUTE, 0, "{mute} accepted the connection and sent nothing") \
    X(CLOSED_EARLY, 0, "{closed} closed the connection without a word") \
    X(CLOSED_LATER, 0, "{closed_later} closed the connection in the middle of the dialogue") \
    X(SLOW, 0, "the server was still sending when the time was over") \
    X(NO_AUTH, 0, "no sign-in is offered on {no_auth}") \
    X(OAUTH_ONLY, 0, "sign-in is offered with OAuth 2 only") \
    X(AUTH_FOREIGN, 0, "sign-in is offered with {mechanisms} only") \
    /* ---- replies to the message ---- */ \
    X(REPLY_PASSWORD, 0, "sign-in was answered \"{reply}\"") \
    X(REPLY_APPLICATION_PASSWORD, 0, "the reply asks for an application password: \"{reply}\"") \
    X(REPLY_OAUTH, 0, "the reply says that passwords are not accepted: \"{reply}\"") \
    X(REPLY_METHOD, 0, "the reply rejects the method of signing in: \"{reply}\"") \
    X(REPLY_ADDRESS, 0, "the reply names the address of this machine or network: \"{reply}\"") \
    X(REPLY_ACCOUNT, 0, "the reply is about the account itself: \"{reply}\"") \
    X(REPLY_BROWSER, 0, "the reply asks to sign in with a browser: \"{reply}\"") \
    X(REPLY_SIGN_IN, 0, "the reply asks to sign in first: \"{reply}\"") \
    X(SIGNED_IN, 0, "the user was signed in") \
    X(REPLY_AUTH_LATER, 0, "sign-in was deferred: \"{reply}\"") \
    X(REPLY_TLS, 0, "the reply asks for TLS, which the server does not see: \"{reply}\"") \
    X(REPLY_HELO, 0, "the reply rejects the name in EHLO: \"{reply}\"") \
    X(REPLY_REVERSE_DNS, 0, "the reply asks for a reverse DNS name: \"{reply}\"") \
    X(REPLY_SENDER_DOMAIN, 0, "the domain of the sender was not found: \"{reply}\"") \
    X(REPLY_SENDER, 0, "the sender was rejected: \"{reply}\"") \
    X(REPLY_RELAY, 0, "relaying was denied: \"{reply}\"") \
    X(REPLY_RECIPIENT, 0, "the recipient was rejected: \"{reply}\"") \
    X(REPLY_LIMIT, 0, "a limit was reached: \"{reply}\"") \
    X(REPLY_LOCKED, 0, "sign-in is locked for a while: \"{reply}\"") \
    X(REPLY_LATER, 0, "the reply was temporary: \"{reply}\"") \
    X(REPLY_FULL, 0, "the recipient's mailbox is full: \"{reply}\"") \
    X(REPLY_STORAGE, 0, "the server has no room for the message: \"{reply}\"") \
    X(REPLY_SIZE, 0, "the message is too large: \"{reply}\"") \
    X(REPLY_UNAUTHENTICATED, 0, "the message was not signed as the receiver wants: \"{reply}\"") \
    X(REPLY_LISTED, 0, "the reply names a block list: \"{reply}\"") \
    X(REPLY_CONTENT, 0, "the message was rejected: \"{reply}\"") \
    /* ---- this machine ---- */ \
    X(MACHINE_NO_ROUTE, FACT_MACHINE, "this machine has no default route") \
    X(MACHINE_NO_ROUTE_6, FACT_MACHINE, "this machine has no IPv6 route") \
    X(MACHINE_CONTAINER, FACT_MACHINE, "this is a container") \
    X(MACHINE_TUNNEL, FACT_MACHINE, "the default route goes through {tunnel}") \
    X(MACHINE_SMALL_MTU, FACT_MACHINE, "the MTU of the default route is {mtu}") \
    X(MACHINE_CLOCK_WRONG, FACT_MACHINE, "this machine's clock is {clock}") \
    X(MACHINE_NO_CA, FACT_MACHINE, "no CA certificates are installed here") \
    X(MACHINE_CA_OLD, FACT_MACHINE, "the CA certificates here are {ca_age} days old") \
    X(MACHINE_PROXY, FACT_MACHINE, "a proxy is configured here ({proxy})") \
    X(MACHINE_NETWORK, FACT_MACHINE, "this machine runs at {network} ({sign})") \
    X(MACHINE_NETWORK_BLOCKS, FACT_MACHINE, "{network} blocks {network_blocks} by default ({sign})") \
    X(MACHINE_NETWORK_BLOCKS_25, FACT_MACHINE, "{network} blocks 25 by default ({sign})") \
    X(MACHINE_CPANEL, FACT_MACHINE, "cPanel is installed here") \
    X(MACHINE_CSF, FACT_MACHINE, "the csf firewall is installed here") \
    X(RULE_BLOCKS, FACT_FIREWALL, "a firewall rule of this machine does it: \"{rule}\"") \
    X(RULE_REDIRECTS, FACT_FIREWALL, "a firewall rule of this machine redirects the port: \"{rule}\"") \
    X(LISTENER_HERE, FACT_FIREWALL, "a program on this machine listens on {listeners}") \
    X(LISTENER_NONE, FACT_FIREWALL, "no program on this machine listens on the mail ports") \
    X(LISTENER_LOOPBACK, FACT_FIREWALL, "the program on this machine listens on loopback only") \
    /* ---- before ---- */ \
    X(WORKED_BEFORE, FACT_HISTORY, "{worked} worked on this network before") \
    X(PASSWORD_REFUSED_BEFORE, FACT_HISTORY, "{host} rejected a password from here within the last hour") \
    X(BAN_POSSIBLE, 0, "what happened before may have led to a ban") \
    X(BAN_LIKELY, 0, "what happened before leads to bans") \
    X(CALLED_OFTEN, FACT_HISTORY, "this machine called the host {calls} times within the last hour")
// clang-format on

#define FINDING_ENUM(name, source, words) FINDING_##name,
enum finding { FINDINGS(FINDING_ENUM) FINDING_COUNT };
#undef FINDING_ENUM

/* All findings, for one family or for both. */
struct findings {
    const struct diagnosis_facts *facts;
    enum finding_family family;
    unsigned char known[FINDING_COUNT]; /* enum known */
    uint16_t ports[FINDING_COUNT];      /* on which it was found: a set of 1 << place in struct ports_seen */
};

void findings_make(struct findings *findings, const struct diagnosis_facts *facts,
                   enum finding_family family);
static inline bool findings_say(const struct findings *findings, enum finding finding)
{
    return findings->known[finding] == KNOWN_YES;
}
const char *finding_name(enum finding finding); /* "SILENT_ALL" */
const char *finding_words(enum finding finding);
unsigned finding_source(enum finding finding);

#endif
