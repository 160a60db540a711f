/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the configuration file as typed facts, every default filled in.
 *
 * config_load() reads YAML (libyaml) by the table in keys.c and checks it; what it returns is the
 * whole effective configuration that `mailboat config show` prints. Errors
 * name the file, the line, what is wrong and the mend; exit code 78.
 */
#ifndef MAILBOAT_CONFIG_CONFIG_H
#define MAILBOAT_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "core/route/route_rules.h"
#include "core/route/tls_policy.h"
#include "core/server/server_session.h"

enum deliver_how { DELIVER_MAILDIR, DELIVER_LMTP };
enum { SOCKET_PATH_MAX = 107 };                                    /* octets (unix(7)) */
enum resolver_dnssec { DNSSEC_AUTO, DNSSEC_REQUIRED, DNSSEC_OFF }; /* auto: where the resolvers pass it on */

#define CONFIG_DEFAULT_FILE "/etc/mailboat/mailboat.conf"

struct config_listener {
    const char *address; /* "0.0.0.0", "::", "127.0.0.1"; NULL: every address, IPv4 and IPv6 */
    uint16_t port;
    enum server_role role; /* from the port unless said: 25 MX, else submission */
    enum server_tls tls;   /* from the port unless said: 465 implicit, else STARTTLS */
};

/* How mail to a domain is secured. */
struct config_tls {
    const char *domain; /* in lower case A-label form; "*": all others */
    enum tls_wish wish;
};

/* What a local user may send, where it is not what all of them may. */
struct config_local_user {
    const char *user;                                /* a name, or a number */
    uint32_t messages_per_hour, recipients_per_hour; /* 0: no limit; those of all unless said */
    /* "*", "*@DOMAIN" or an address: as whom alone; none: as all may */
    const char **senders;
    size_t sender_count;
};

struct config {
    struct arena arena; /* owns every text here */
    const char *file;   /* where it was read from; NULL for built-in defaults */
    const char *hostname;
    const char *data_dir; /* default /var/lib/mailboat */
    const char **domains; /* hosted here, in lower case A-label form; more may stand in accounts.db */
    size_t domain_count;
    const char *user; /* the user (and prefix of users) to become when started as root; default "mailboat" */
    /* either_way: default true; both NULL: self-signed is made in data_dir/keys/tls/ */
    struct {
        const char *certificate, *key;
        bool either_way;
    } tls;
    struct config_listener *listeners; /* default: 25, 587, 465, 2525 on every address */
    size_t listener_count;
    struct {
        enum relay_via via;
        struct route_rule *routes; /* by domain: another way, or limits */
        size_t route_count;
        struct config_tls *tls; /* by domain; "*": all others, whose default is auto */
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
            const char *password_command, *token_command; /* for sh -c; the first line counts */
            uint32_t connections, rate;                   /* at once; messages a minute, 0: no limit */
        } smarthost;
        uint16_t port;       /* of MX hosts; 25; another for tests */
        const char *ca_file; /* CA certificates to trust instead of the system's */
    } relay;
    struct {
        enum deliver_how deliver;
        /* as it was said: "unix:/run/dovecot/lmtp", "127.0.0.1:24"; default: DATA/dovecot/lmtp/socket */
        const char *lmtp;
        /* path NULL: an address and its port */
        struct {
            const char *path, *address;
            uint16_t port;
        } lmtp_at;
        const char *address;               /* where IMAP and POP3 are served; NULL: everywhere */
        uint16_t imap, imaps, pop3, pop3s; /* ports; 0: not served */
        uint64_t quota; /* octets that a mailbox may hold whose account says nothing else; 0: no limit */
    } mailboxes;
    struct {
        const char **servers;
        size_t server_count; /* "address" or "address:port"; default: the system's */
        enum resolver_dnssec dnssec;
        const char *trust_anchor; /* default: the root zone's, as the system has them */
    } resolver;
    int store; /* 0: sqlite */
    struct {
        const char *address;
        uint16_t port, tls_port;
    } web; /* ports of HTTP and HTTPS; 0: none */
    struct {
        uint32_t messages_per_hour, recipients_per_hour; /* of one account; 0: as many as it likes */
        /* "ACCOUNT ADDRESS" or "ACCOUNT *@DOMAIN": more that an account may send as */
        const char **send_as;
        size_t send_as_count;
        bool fix_bare_newlines;
        struct {
            uint32_t messages_per_hour, recipients_per_hour; /* of one local user, root aside; 0: no limit */
            bool protect_accounts; /* nobody but root and whom `users` allows sends as an account */
            struct config_local_user *users;
            size_t user_count;
        } local; /* programs on this machine: sendmail, the socket, the drop folder */
    } submission;
    struct {
        enum report_success { REPORT_SUCCESS_USERS, REPORT_SUCCESS_ALL } success;
    } reports;
    struct {
        uint64_t message_size;
        uint32_t recipients, connections, connections_per_client, unknown_recipients, deliveries;
    } limits;
    struct {
        uint64_t first_ms, max_ms, expire_ms; /* retry: 5m, 4h, 5d */
        uint64_t warn_after_ms;
        double factor; /* 2 */
        bool hold;     /* accept and keep, deliver nothing (maintenance) */
    } queue;
    struct {
        int format, level;
    } log;                /* enum log_format, enum log_level of io/log.h */
    uint32_t smtpd_count; /* processes: default one a core */
};

/* Reads, checks and fills in. NULL `file`: /etc/mailboat/mailboat.conf. */
bool config_load(struct config *config, const char *file, struct error *error);
/* The same for those who send mail on this machine: the files that it names
 * (keys, passwords) are not theirs to read, and are not looked at. */
bool config_load_as_anybody(struct config *config, const char *file, struct error *error);
/* The same from text, for tests and fuzzing; `name` stands for the file in errors. */
bool config_parse(struct config *config, const char *name, struct bytes text, struct error *error);
/* Wipes what it held before it gives the memory back: a command can hold a token. */
void config_free(struct config *config);

/* In a process that was forked: wipes what is the supervisor's alone, the commands that print
 * the smarthost's password or token. That there is one stays known: its text is empty then. */
void config_forget_secrets(struct config *config);

/* The ways that mail leaves by; it lives as long as the configuration. */
struct route_rules config_rules(const struct config *config);

/* What the configuration wishes for mail to this domain. */
enum tls_wish config_tls_wish(const struct config *config, struct bytes domain);

/* "90s", "30m", "2h", "5d" (and ms, w) in milliseconds; false when it is none of these. */
bool config_duration(struct bytes text, uint64_t *ms);
/* "50MiB", "1GiB", "800000" in octets (also TiB, and KB to TB of 1000); false when it is none of these. */
bool config_size(struct bytes text, uint64_t *octets);

/* The whole effective configuration as YAML that config_load() reads back;
 * secrets are left out. */
void config_write(const struct config *config, struct buffer *out);

/* Ports that mail is submitted on, the best first; what is left stays 0. */
enum { CONFIG_STARTTLS_PORTS = 4, CONFIG_IMPLICIT_PORTS = 2 };
void config_submission_ports(const struct config *config, uint16_t starttls[CONFIG_STARTTLS_PORTS],
                             uint16_t implicit[CONFIG_IMPLICIT_PORTS]);

#endif
