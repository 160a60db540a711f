/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the configuration file as typed values with defaults filled in.
 *
 * config_load() reads YAML (libyaml) by the table in keys.c and checks it; the result is the effective
 * configuration printed by `mailboat config show`. Errors name the file, the line, the problem and a hint;
 * exit code 78.
 */
#ifndef MAILBOAT_CONFIG_CONFIG_H
#define MAILBOAT_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "core/domain/sts_settings.h"
#include "core/route/route_rules.h"
#include "core/route/tls_policy.h"
#include "core/server/server_session.h"
#include "core/trust/dkim_key.h"
#include "core/trust/verdict.h"

enum deliver_how { DELIVER_MAILDIR, DELIVER_LMTP };
enum { SOCKET_PATH_MAX = 107 };                                    /* octets (unix(7)) */
enum resolver_dnssec { DNSSEC_AUTO, DNSSEC_REQUIRED, DNSSEC_OFF }; /* auto: if the resolvers support it */

#define CONFIG_DEFAULT_FILE "/etc/mailboat/mailboat.conf"

enum { CONFIG_OLD_TLS_BITS_MIN = 24 }; /* of IPv4; twice as many of IPv6 */

struct config_listener {
    const char *address; /* "0.0.0.0", "::", "127.0.0.1"; NULL: every address, IPv4 and IPv6 */
    uint16_t port;
    enum server_role role; /* default by port: 25 MX, else submission */
    enum server_tls tls;   /* default by port: 465 implicit, else STARTTLS */
    const char **proxies;  /* networks whose connections begin with a PROXY header */
    size_t proxy_count;
    /* devices that may use TLS 1.0 and 1.1 here; none by default */
    const char **old_tls;
    size_t old_tls_count;
};

enum {
    CONFIG_RELAY_RECIPIENTS_MAX = 1000000, /* of a domain */
    CONFIG_RELAY_FILE_MAX = 64 << 20,      /* octets of a file of them */
    CONFIG_LOCAL_PART_MAX = 320,
    CONFIG_JUNK_FOLDER_MAX = 64,  /* octets of its name */
    CONFIG_REPORT_FROM_MAX = 254, /* octets */
    CONFIG_KEYS_MAX = 128,        /* rows of config_keys */
};

/* A domain whose mail is passed on to its own server. */
struct config_relay_domain {
    const char *domain;
    const char **recipients; /* as written */
    size_t recipient_count;
    const char *recipients_file;
    const char **accepted; /* local parts in lower case, sorted: those of both */
    size_t accepted_count, accepted_capacity;
};

/* TLS policy for a domain. */
struct config_tls {
    const char *domain; /* in lower case A-label form; "*": all others */
    enum tls_wish wish;
};

/* Limits of a local user that differ from the general ones. */
struct config_local_user {
    const char *user;                                /* a name, or a number */
    uint32_t messages_per_hour, recipients_per_hour; /* 0: no limit; default: the general limits */
    /* allowed senders: "*", "*@DOMAIN" or an address; none: as for all users */
    const char **senders;
    size_t sender_count;
};

struct config {
    struct arena arena; /* owns all texts here */
    const char *file;   /* path of the file; NULL for built-in defaults */
    const char *hostname;
    const char *data_dir; /* default /var/lib/mailboat */
    const char **domains; /* hosted domains, in lower case A-label form; accounts.db may have more */
    size_t domain_count;
    /* the user (and prefix of users) for processes when started as root; default "mailboat" */
    const char *user;
    /* either_way: default true; both NULL: self-signed, stored in data_dir/keys/tls/ */
    struct {
        const char *certificate, *key;
        bool either_way;
    } tls;
    struct config_listener *listeners; /* default: 25, 587, 465, 2525 on every address */
    size_t listener_count;
    struct {
        enum relay_via via;
        struct route_rule *routes; /* next hop or limits per domain */
        size_t route_count;
        struct config_relay_domain *domains; /* passed on for other servers */
        size_t domain_count;
        struct config_tls *tls; /* per domain; "*": all others, default auto */
        size_t tls_count;
        struct {
            const char *host;
            uint16_t port; /* 0: auto */
            /* none: loopback only */
            enum {
                SMARTHOST_TLS_AUTO,
                SMARTHOST_TLS_STARTTLS,
                SMARTHOST_TLS_IMPLICIT,
                SMARTHOST_TLS_NONE
            } tls;
            const char *user, *password_file;
            const char *password_command, *token_command; /* for sh -c; the first line is used */
            /* concurrent deliveries; messages per minute, 0: no limit */
            uint32_t connections, rate;
        } smarthost;
        uint16_t port;       /* of MX hosts; 25; another in tests */
        const char *ca_file; /* CA certificates to trust instead of the system's */
    } relay;
    struct {
        enum deliver_how deliver;
        /* as written: "unix:/run/dovecot/lmtp", "127.0.0.1:24"; default: DATA/dovecot/lmtp/socket */
        const char *lmtp;
        /* path NULL: an address and its port */
        struct {
            const char *path, *address;
            uint16_t port;
        } lmtp_at;
        const char *address;               /* IMAP and POP3 server; NULL: every address */
        uint16_t imap, imaps, pop3, pop3s; /* ports; 0: not served */
        uint64_t quota; /* octets per mailbox unless the account has its own; 0: no limit */
    } mailboxes;
    struct {
        const char **servers;
        size_t server_count; /* "address" or "address:port"; default: the system's */
        enum resolver_dnssec dnssec;
        const char *trust_anchor; /* default: the system's for the root zone */
    } resolver;
    int store; /* 0: sqlite */
    struct {
        const char *address;
        uint16_t port, tls_port;
    } web; /* ports of HTTP and HTTPS; 0: none */
    struct {
        enum sts_setting mode;
        uint64_t max_age_ms;
        const char **mx; /* hosts and patterns in lower case; none: the hostname */
        size_t mx_count;
    } mta_sts; /* the policy that web publishes for the domains of this server */
    struct {
        uint32_t messages_per_hour, recipients_per_hour; /* per account; 0: no limit */
        /* "ACCOUNT ADDRESS" or "ACCOUNT *@DOMAIN": additional sender addresses of an account */
        const char **send_as;
        size_t send_as_count;
        /* networks whose programs may send through an MX listener without signing in */
        const char **trusted;
        size_t trusted_count;
        bool fix_bare_newlines;
        struct {
            uint32_t messages_per_hour, recipients_per_hour; /* per local user except root; 0: no limit */
            bool protect_accounts; /* only root and those listed in `users` may send as an account */
            struct config_local_user *users;
            size_t user_count;
        } local; /* local programs: sendmail, the socket, the drop directory */
    } submission;
    struct {
        bool srs;  /* forwarded mail of other domains gets a sender of ours */
        bool seal; /* and an ARC set */
    } forward;
    struct {
        enum report_success { REPORT_SUCCESS_USERS, REPORT_SUCCESS_ALL } success;
    } reports;
    struct {
        enum verdict_mode mode;   /* default VERDICT_ENFORCE */
        const char **arc_trusted; /* domains, in lower case A-label form */
        size_t arc_trusted_count;
        /* "192.0.2.7", "10.0.0.0/8", "mx.example.net", "*.example.net": see config_is_forwarder() */
        const char **forwarders;
        size_t forwarder_count;
        const char *junk_folder; /* its name for IMAP; in the Maildir it is ".Junk" */
        struct {
            const char **send; /* "tls", "dmarc": the kinds that are sent; default: none */
            size_t send_count;
            const char *from;     /* their author; NULL: postmaster at the hostname */
            const char **exclude; /* domains that get none, in lower case A-label form */
            size_t exclude_count;
        } reports; /* to other domains */
    } trust;       /* mail from other servers, on port 25 */
    struct {
        const char **algorithms; /* "rsa", "ed25519": of the keys of each domain; default rsa */
        size_t algorithm_count;
        const char *selector; /* "auto": chosen by Mailboat; else its beginning */
        uint64_t rotate_ms;   /* age at which a successor is prepared; 0: never */
    } dkim;                   /* keys that mail is signed with */
    struct {
        uint64_t message_size;
        uint32_t recipients, connections, connections_per_client, unknown_recipients, deliveries;
    } limits;
    struct {
        uint64_t first_ms, max_ms, expire_ms; /* retry: 5m, 4h, 5d */
        uint64_t warn_after_ms;
        double factor; /* 2 */
        bool hold;     /* accept and store messages, deliver nothing (maintenance) */
    } queue;
    struct {
        int format, level;
    } log;                /* enum log_format, enum log_level of io/log.h */
    uint32_t smtpd_count; /* processes: default one per core */
};

/* Reads, checks and completes it. NULL `file`: /etc/mailboat/mailboat.conf. */
bool config_load(struct config *config, const char *file, struct error *error);
/* The same for unprivileged users of this machine who send mail: does not read the referenced files (keys,
 * passwords), which they may not access. */
bool config_load_as_anybody(struct config *config, const char *file, struct error *error);
/* The same from text, for tests and fuzzing; `name` replaces the file in errors. */
bool config_parse(struct config *config, const char *name, struct bytes text, struct error *error);
/* Wipes the memory before freeing it: a command can contain a token. */
void config_free(struct config *config);

/* After a fork: wipes the supervisor's secrets, the commands that print the smarthost's password or token.
 * They are still known to be set: their text is empty then. */
void config_forget_secrets(struct config *config);

/* Returns the routing rules; they live as long as the configuration. */
struct route_rules config_rules(const struct config *config);

/* Says whether mail for an address is passed on to the server of its domain: that of relay.domains, for the
 * recipients that it lists, with a +tag or without, and for postmaster. `canonical` is in lower case. */
enum config_relayed {
    CONFIG_NOT_RELAYED,     /* another domain */
    CONFIG_RELAYED,         /* one of its recipients */
    CONFIG_RELAYED_NOT_FOR, /* the domain, but not this recipient */
};
enum config_relayed config_relayed(const struct config *config, struct bytes canonical);

/* True if reports of this kind ("tls", "dmarc") are sent to other domains. */
bool config_sends_reports(const struct config *config, const char *kind);
/* True if the domain gets none. */
bool config_excludes_reports(const struct config *config, struct bytes domain);
/* True if a client is one of trust.forwarders: by its address, or by `name`, its own name that leads back to
 * the address (iprev), empty if it has none. "*.example.net" has all names below. */
bool config_is_forwarder(const struct config *config, const struct route_address *client, struct bytes name);

/* True if each domain gets a key of this algorithm. */
bool config_has_algorithm(const struct config *config, enum dkim_algorithm algorithm);

/* Returns the TLS policy configured for this domain. */
enum tls_wish config_tls_wish(const struct config *config, struct bytes domain);

/* Returns the MTA-STS policy that is published; it lives as long as the configuration. */
struct sts_settings config_sts_settings(const struct config *config);

/* Appends the effective configuration as YAML for config_load(), without secrets. */
void config_write(const struct config *config, struct buffer *out);

/* Lists the submission ports, most preferred first; unused entries stay 0. */
enum { CONFIG_STARTTLS_PORTS = 4, CONFIG_IMPLICIT_PORTS = 2 };
void config_submission_ports(const struct config *config, uint16_t starttls[CONFIG_STARTTLS_PORTS],
                             uint16_t implicit[CONFIG_IMPLICIT_PORTS]);

#endif
