/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts: what was seen when mail does not leave: the evidence that a diagnosis
 * is made from. Plain data without pointers, except into static tables; so a
 * report of it can be written to a file and judged again (mailboat ports
 * --report, --replay).
 *
 * Everything is optional: 0 of each enum means "not known", and a rule that
 * needs what is not known asks for it (diagnosis_lacks()). Nothing here was
 * learnt by sending mail or by signing in, except `reply`, which is what a
 * transaction of the user's own came to. Texts of other parties are kept as
 * they came, cut at the size of their field, with control characters replaced
 * by spaces; they explain and never decide alone who is trusted.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_FACTS_H
#define MAILBOAT_CORE_DIAGNOSIS_FACTS_H

#include "base/bytes.h"
#include "core/port/network.h"
#include "core/port/provider.h"

enum facts_limit {
    FACTS_HOST_MAX = 256,
    FACTS_ADDRESS_MAX = 48,  /* an address as text, with a final zero */
    FACTS_ADDRESSES_MAX = 8, /* of the target, both families */
    FACTS_ATTEMPTS_MAX = 64, /* of the target */
    FACTS_CONTROLS_MAX = 16, /* of other hosts */
    FACTS_TEXT_MAX = 512,    /* a greeting or an EHLO reply, its lines parted by \n */
    FACTS_LINE_MAX = 200,    /* one line of another party's text */
    FACTS_NAMES_MAX = 256,   /* the names in a certificate, parted by ", " */
    FACTS_RULES_MAX = 8,     /* firewall rules of this machine that concern the four ports */
    FACTS_LISTENERS_MAX = 8,
    FACTS_REMEMBERED_MAX = 8,
};

/* ---- yes, no, or not known ---- */
enum known { KNOWN_NOT, KNOWN_NO, KNOWN_YES };

/* ---- one attempt: an address, a port, a way to begin ---- */

enum fact_reach {
    REACH_UNKNOWN,     /* not tried, or the race was over before its end */
    REACH_SILENT,      /* no answer to the connection request */
    REACH_REFUSED,     /* RST */
    REACH_UNREACHABLE, /* ICMP, or this machine's own word: see `unreachable` */
    REACH_CONNECTED,
};
enum fact_unreachable {
    UNREACHABLE_UNKNOWN,
    UNREACHABLE_NO_ROUTE,   /* ENETUNREACH: this machine has no route for the family */
    UNREACHABLE_HOST,       /* EHOSTUNREACH */
    UNREACHABLE_PROHIBITED, /* a firewall says so (FACT_ICMP_PROHIBITED), or this kernel (EACCES, EPERM) */
    UNREACHABLE_PROTOCOL,   /* ENOPROTOOPT, EPROTO ... */
};
/* The ICMP message that answered the request for connection. */
enum fact_icmp {
    FACT_ICMP_UNKNOWN,
    FACT_ICMP_NONE,       /* it was answered by TCP, or not at all */
    FACT_ICMP_PORT,       /* port unreachable: by firewalls, as TCP itself answers RST */
    FACT_ICMP_HOST,       /* host or network unreachable, or address unreachable: by routers, or firewalls */
    FACT_ICMP_PROHIBITED, /* administratively prohibited, or by policy */
    FACT_ICMP_OTHER,
};
/* The first event after the connection was established. */
enum fact_voice {
    VOICE_UNKNOWN, /* not connected, or nothing was waited for */
    VOICE_MUTE,    /* not one octet in time */
    VOICE_CLOSED,  /* ended before the first octet */
    VOICE_RESET,   /* the same with RST */
    VOICE_SMTP,    /* three digits */
    VOICE_TLS,     /* a TLS record (where TLS was begun at once: an answer to our ClientHello) */
    VOICE_HTTP,
    VOICE_SSH,
    VOICE_IMAP,
    VOICE_POP3,
    VOICE_FTP,
    VOICE_OTHER,
};
/* How TLS ended; for STARTTLS, after it was agreed to. */
enum fact_tls {
    FACT_TLS_NOT_BEGUN,
    FACT_TLS_DONE,
    FACT_TLS_CLEAR_TEXT, /* clear text where TLS was due */
    FACT_TLS_TIMED_OUT,
    FACT_TLS_CLOSED,
    FACT_TLS_RESET,
    FACT_TLS_ALERT_VERSION, /* protocol_version (70), or no version in common */
    FACT_TLS_ALERT_CIPHER,  /* handshake_failure (40), insufficient_security (71), no cipher or key too small
                             */
    FACT_TLS_ALERT_NAME,    /* unrecognized_name (112) */
    FACT_TLS_ALERT_CLIENT,  /* certificate_required and kin: it wants a client's certificate */
    FACT_TLS_BROKEN,        /* another alert, or nonsense */
};
enum fact_certificate_state {
    FACT_CERTIFICATE_UNKNOWN,
    FACT_CERTIFICATE_VALID,
    FACT_CERTIFICATE_EXPIRED,
    FACT_CERTIFICATE_NOT_YET_VALID,
    FACT_CERTIFICATE_OTHER_NAME,  /* the chain is trusted, the name is another */
    FACT_CERTIFICATE_SELF_SIGNED, /* itself, or the root that it brings, is trusted by nobody here */
    FACT_CERTIFICATE_UNKNOWN_ISSUER,
    FACT_CERTIFICATE_INVALID, /* another fault */
};
struct fact_certificate {
    enum fact_certificate_state state;
    enum known names_host;    /* does it name the host that was asked for, whatever else is wrong? */
    enum known chain_trusted; /* is the chain trusted here, names and dates aside? */
    char subject[FACTS_LINE_MAX], issuer[FACTS_LINE_MAX]; /* "O=Fortinet, CN=FG100…" */
    char root[FACTS_LINE_MAX];                            /* subject of the last certificate that was sent */
    char names[FACTS_NAMES_MAX];                          /* its DNS names */
    uint64_t not_before_s, not_after_s;                   /* Unix time; 0: not known */
    uint8_t fingerprint[8];                               /* first octets of its SHA-256 */
    uint8_t chain_length;                                 /* certificates that were sent, itself included */
};
struct fact_attempt {
    char host[FACTS_HOST_MAX]; /* a control's; "": the target */
    char address[FACTS_ADDRESS_MAX];
    bool six;
    uint16_t port;
    bool implicit_tls; /* how we began */
    enum fact_reach reach;
    enum fact_unreachable unreachable;
    enum fact_icmp icmp;
    char icmp_from[FACTS_ADDRESS_MAX]; /* its sender; "": there was none */
    enum fact_voice voice;
    uint32_t connect_ms, first_ms, took_ms; /* until it was connected or refused; first octet; all of it */
    uint16_t greeting_code;
    char greeting[FACTS_TEXT_MAX];
    enum known greeting_masked; /* asterisks, as Cisco's firewalls write */
    uint16_t ehlo_code;
    char ehlo[FACTS_TEXT_MAX];
    enum known starttls_offered, ehlo_masked; /* in the EHLO reply before TLS; masked: "XXXXXXXA" */
    uint16_t starttls_code;                   /* the reply to STARTTLS; 0: not sent, or none */
    char starttls_said[FACTS_LINE_MAX];
    enum fact_tls tls;
    uint32_t tls_sent, tls_received; /* octets each way when it ended */
    char tls_version[16];
    struct fact_certificate certificate;
    enum known auth_offered;   /* where it counts: after TLS */
    enum known auth_passwords; /* PLAIN, LOGIN or SCRAM among them */
    enum known auth_tokens;    /* OAuth 2 among them; neither: only methods that this program does not have */
    char mechanisms[FACTS_LINE_MAX]; /* their names: "NTLM GSSAPI" */
    enum known ready;                /* greeting, EHLO, TLS, a valid certificate: all there */
    uint16_t end_code;               /* of the reply it ended with */
    char said[FACTS_LINE_MAX];       /* that reply, or what the system said */
};

/* ---- DNS ---- */
enum fact_dns {
    FACT_DNS_UNKNOWN,
    FACT_DNS_IS_ADDRESS, /* the target is one: nothing was asked */
    FACT_DNS_HAS_ADDRESS,
    FACT_DNS_NO_SUCH_NAME,
    FACT_DNS_NO_ADDRESS_RECORD,
    FACT_DNS_FAILS, /* SERVFAIL, or DNSSEC says bogus */
    FACT_DNS_TIMED_OUT,
    FACT_DNS_REFUSES,
    FACT_DNS_NO_RESOLVER, /* none is configured */
};
/* Where an address belongs (RFC 6890). */
enum fact_address_kind {
    ADDRESS_UNKNOWN,
    ADDRESS_PUBLIC,
    ADDRESS_LOOPBACK,
    ADDRESS_PRIVATE,
    ADDRESS_SHARED /* 100.64/10 */,
    ADDRESS_LINK_LOCAL,
    ADDRESS_UNSPECIFIED,
    ADDRESS_BENCHMARK /* 198.18/15: fake-IP proxies */,
    ADDRESS_DOCUMENTATION,
    ADDRESS_MULTICAST,
    ADDRESS_NAT64,
    ADDRESS_CLOUDFLARE /* its web proxy */,
};
struct fact_address {
    char text[FACTS_ADDRESS_MAX];
    bool six;
    enum fact_address_kind kind;
    enum known own; /* this machine's */
};

/* ---- this machine ---- */
enum fact_firewall { FIREWALL_DROPS, FIREWALL_REJECTS, FIREWALL_REDIRECTS };
struct fact_rule { /* of this machine's firewall, on outgoing mail */
    uint16_t port;
    enum fact_firewall does;
    char rule[FACTS_LINE_MAX];
};
struct fact_listener { /* a program of this machine, on one of 25, 465, 587, 2525 */
    uint16_t port;
    bool loopback_only;
};
struct fact_machine {
    enum known route_4, route_6;           /* a default route */
    enum known container, virtual_network; /* in a container; the default route is a tunnel (VPN) */
    char tunnel[32];                       /* its interface */
    uint16_t mtu;                          /* of the default route's interface; 0: not known */
    enum known clock_right; /* by NTP's word, or against certificates and the build's own date */
    int64_t clock_ahead_s;  /* where it is known: ours minus the true one */
    enum known ca_bundle;   /* CA certificates are there */
    uint32_t ca_count, ca_age_days;
    enum known proxy_set; /* http_proxy, all_proxy ... */
    char proxy[FACTS_LINE_MAX];
    char resolver[FACTS_LINE_MAX];         /* the addresses in resolv.conf */
    char hosts_address[FACTS_ADDRESS_MAX]; /* of the target in /etc/hosts; "": none */
    const struct network *network; /* whose machine it is, by its own evidence (DMI, environment); or NULL */
    char network_sign[FACTS_LINE_MAX]; /* that evidence: "sys_vendor DigitalOcean" */
    enum known panel_cpanel, panel_csf, panel_directadmin, panel_plesk;
    enum known rules_read; /* could the firewall's rules be read? */
    struct fact_rule rules[FACTS_RULES_MAX];
    size_t rule_count;
    struct fact_listener listeners[FACTS_LISTENERS_MAX];
    size_t listener_count;
    enum known listeners_read;
};

/* ---- what happened before on this network ---- */
struct fact_remembered {
    uint16_t port;
    bool worked; /* else it was blocked */
    uint32_t age_s;
};
struct fact_history {
    struct fact_remembered ports[FACTS_REMEMBERED_MAX];
    size_t count;
    enum known password_refused; /* this host refused a password (this user's, if known) in the last hour */
    uint32_t calls_last_hour;    /* how often this host was called */
};

/* ---- a reply to the user's own message ---- */
enum fact_reply_step { REPLY_NONE, REPLY_AUTH, REPLY_MAIL, REPLY_RCPT, REPLY_DATA, REPLY_CONTENT };
struct fact_reply {
    enum fact_reply_step step;
    uint16_t code;
    char enhanced[12]; /* "5.7.1", or "" */
    bool signed_in;    /* the user was signed in by then */
    char text[FACTS_TEXT_MAX];
};

/* The user's intention for the target. */
enum fact_purpose {
    PURPOSE_SUBMIT, /* give mail to it: 587, 2525, 465 */
    PURPOSE_RELAY,  /* deliver to it as a server: 25 */
    PURPOSE_LEAVE,  /* can mail leave this machine at all: doctor */
};

/* Facts that the shell can get when they are asked for; a set, or'ed. */
enum fact_kind {
    FACT_CONTROLS = 1,       /* other known mail hosts, on the same ports */
    FACT_WEB = 2,            /* ports 443 and 80 of the target */
    FACT_OTHER_RESOLVER = 4, /* the same name from a public resolver or the domain's own servers */
    FACT_MACHINE = 8,
    FACT_FIREWALL = 16, /* this machine's rules; listeners */
    FACT_HISTORY = 32,
    FACT_OTHER_PORTS = 64, /* the rest of the four, where few were asked for */
};

struct diagnosis_facts {
    enum fact_purpose purpose;
    uint64_t now_s;                  /* Unix time by this machine's clock */
    char host[FACTS_HOST_MAX];       /* as asked for */
    const struct provider *provider; /* whose host it is, or NULL */
    enum known host_is_own;          /* this machine itself, or an address of it */
    enum known smarthost_is_set;     /* this machine's configuration has one */
    enum known host_in_mail_domain;  /* it is a bare mail domain (it has MX records), not a server's name */
    char near_provider[FACTS_HOST_MAX];   /* "smtp.gmail.com" where smtp.gmial.com was typed; else "" */
    uint16_t asked[FACTS_REMEMBERED_MAX]; /* ports that the user named, ended by 0; none: the usual ones */
    bool own_ca;       /* CA certificates were named: those of other hosts are not among them */
    unsigned gathered; /* enum fact_kind: what was looked for, found or not */
    enum fact_dns dns;
    char dns_said[FACTS_LINE_MAX];
    enum fact_dns other_dns;     /* by the other resolver */
    enum known other_dns_agrees; /* does it give an address that we have? */
    struct fact_address other_addresses[2];
    struct fact_address addresses[FACTS_ADDRESSES_MAX];
    size_t address_count;
    struct fact_attempt attempts[FACTS_ATTEMPTS_MAX];
    size_t attempt_count;
    struct fact_attempt controls[FACTS_CONTROLS_MAX]; /* mail ports of other hosts */
    size_t control_count;
    struct fact_attempt web[4]; /* 443 and 80 of the target */
    size_t web_count;
    enum known web_elsewhere; /* 443 of a control answers */
    struct fact_machine machine;
    struct fact_history history;
    struct fact_reply reply;
};

#endif
