/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts: users, domains, aliases and application passwords in DATA/accounts/accounts.db (SQLite with a
 * rollback journal, see docs/decisions). The auth process is its only writer
 * (service/auth/account_writer.h); a subcommand replaces it while no server runs. Each handle belongs to
 * one thread.
 *
 * Addresses are stored in canonical form: without quotes, local part and domain in lower case, the domain
 * as A-labels.
 */
#ifndef MAILBOAT_STORE_ACCOUNTS_H
#define MAILBOAT_STORE_ACCOUNTS_H

#include "base/arena.h"
#include "base/error.h"
#include "core/smtp/address.h"
#include "core/smtp/envelope.h"
#include "io/verifier.h"

enum accounts_limit {
    /* of one address, resolved immediately; an address with more is left to accounts_expand() */
    RESOLVE_TARGETS_MAX = 100,
    /* aliases and forwardings followed immediately for one address; the same */
    RESOLVE_PLACES_MAX = 100,
    ROAD_PLACES_MAX = 10000, /* followed to find out whether a mailbox exists at the end */
    EXPANSION_PAGE = 500,    /* targets of one alias per page */
    PASSWORD_MIN = 6,        /* octets of a new one; see user.c */
    PASSWORD_MAX = 511,      /* octets: the limit of crypt(3) */
    DOMAIN_STEPS_MAX = 8,    /* domains that are another one, followed for one address */
    ACCOUNT_KEYS_MAX = 100,  /* per user, tried by SCRAM; PLAIN and LOGIN accept all */
    KEY_SECRET_LENGTH = 26,  /* characters of base 32: 130 random bits */
};
enum { ACCOUNT_NAME_MAX = 64 }; /* octets before the @ of a user (RFC 5321 4.5.3.1.1): a folder's name */
#define ACCOUNT_QUOTA_MAX ((uint64_t)1 << 60) /* octets */

struct accounts;

/* `folder` is DATA/accounts. `writable`: creates a missing file. NULL with a reason if it cannot be
 * opened, belongs to another program, or is damaged (never overwritten). */
struct accounts *accounts_open(const char *folder, bool writable, struct error *error);
void accounts_close(struct accounts *accounts);

/* Sets the configured domains, hosted in addition to those in the file. The texts must live as long as
 * `accounts`. */
void accounts_host(struct accounts *accounts, const char *const *domains, size_t count);

/* Appends the canonical form; false if it is not an address. */
bool accounts_canonical(struct buffer *out, struct bytes address);
/* The same for one whose local part lacks the quotes that it needs ("john doe@example.org"), as earlier
 * versions stored it and other programs' files have it. */
bool accounts_canonical_quoted(struct buffer *out, struct bytes address);
/* Appends a domain as A-labels in lower case; false if it is not one. */
bool accounts_domain(struct buffer *out, struct bytes domain);

/* Returns "ada@example.org" for "ada+news@example.org"; empty if there is no tag. */
struct bytes accounts_without_tag(struct bytes address, struct arena *arena);

bool accounts_is_hosted(struct accounts *accounts, struct bytes domain);

/* ---- queries of auth ---- */

struct account {
    struct bytes address;  /* canonical */
    struct bytes password; /* its hash, as crypt(3) writes it */
    bool disabled;
    struct bytes forward; /* forwarding address; empty: none */
    bool keeps;           /* keeping a copy */
    bool away;            /* a vacation reply is set, whether active now or not */
    bool has_quota;       /* its own; otherwise the configured default applies */
    uint64_t quota;       /* octets allowed for the mailbox; 0: no limit */
    bool has_verifier;    /* for SCRAM: of the password, or of the application password found */
    struct verifier verifier;
    struct bytes key; /* accounts_find_key(): its id */
};
/* False if there is no such user. Texts live in `arena`. */
bool accounts_find(struct accounts *accounts, struct bytes address, struct arena *arena,
                   struct account *account);

/* The same, only for users that can authenticate: enabled, in a hosted domain. */
bool accounts_find_usable(struct accounts *accounts, struct bytes user, struct arena *arena,
                          struct account *account);

/* Finds the user with this application password; false if there is none. */
bool accounts_find_key(struct accounts *accounts, struct bytes user, struct bytes secret, struct arena *arena,
                       struct account *account);

/* Derives the SCRAM salt for this name from a secret of this installation, whether the user exists or not. */
void accounts_salt(const struct accounts *accounts, struct bytes user, uint8_t salt[VERIFIER_SALT]);
/* The verifiers of a user's application passwords; `address` is canonical. */
struct key_verifier {
    char id[9]; /* KEY_ID_LENGTH and NUL */
    struct verifier verifier;
};
size_t accounts_key_verifiers(struct accounts *accounts, struct bytes address, struct key_verifier *keys,
                              size_t count_max);

/*
 * Appends a session's credential as text: the key (account->key) or the account's current password. It
 * reveals nothing of the secret. accounts_credential_holds() checks later whether it is still valid: false
 * once the user is removed or disabled, the domain is no longer hosted, the key is revoked, or the
 * password was set again, even to the same one.
 */
void accounts_credential(const struct accounts *accounts, const struct account *account, struct buffer *out);
bool accounts_credential_holds(struct accounts *accounts, struct bytes user, struct bytes credential);

/* A user's vacation reply: message/vacation.h. */
struct account_away {
    uint64_t since_ms, until_ms; /* active from and until; until 0: no end */
    uint32_t days;               /* one reply per sender in so many */
    struct bytes subject, text;
};
/* `user` is canonical. False if there is none. Texts live in `arena`. */
bool accounts_away(struct accounts *accounts, struct bytes user, struct arena *arena,
                   struct account_away *away);

enum accounts_target { TARGETS_FOUND, TARGETS_UNKNOWN, TARGETS_FOREIGN };
/*
 * Resolves an address: the mailbox of a user (user+tag too), the targets of an alias, a user's forwarding,
 * the same local part in the domain that its own is ("@example.net" as the target of "@example.org"), the
 * domain's catch-all ("@example.org" as an alias), an address for reports (trust/report_address.h), or for
 * postmaster an existing user. FOREIGN if the
 * domain is not hosted, UNKNOWN also if no mailbox is at the end. `targets` (in `arena`) are distinct. If
 * there are more than fit, or one is missing, the only target is one that expands: the queue then calls
 * accounts_expand().
 */
enum accounts_target accounts_resolve(struct accounts *accounts, struct bytes address, struct arena *arena,
                                      struct recipient **targets, size_t *target_count);

/* A page of the members of an address that expands. */
struct accounts_page {
    bool known; /* false: the alias or user no longer exists */
    /* mailboxes, addresses elsewhere, and further addresses that expand, with their own name as `via` */
    struct recipient *members;
    size_t member_count;
    /* targets that do not exist, or lead only into a loop: only the address */
    struct recipient *missing;
    size_t missing_count;
    struct bytes after; /* start of the next page; empty: that was the last */
};
/*
 * Lists the current members. A user's forwarding without a mailbox at its end is ignored: the mail stays
 * with the user. The state of the address at acceptance does not matter, unless it no longer exists.
 */
struct accounts_page accounts_expand(struct accounts *accounts, const struct recipient *place,
                                     struct bytes after, size_t max, struct arena *arena);

/* True if the account may send as this address: its own, its +tags, and aliases that include it. */
bool accounts_may_send(struct accounts *accounts, struct bytes account, struct bytes address);

/* ---- changes by subcommands; false with a reason ---- */

bool accounts_user_add(struct accounts *accounts, struct bytes address, struct bytes password,
                       struct error *error);
bool accounts_user_password(struct accounts *accounts, struct bytes address, struct bytes password,
                            struct error *error);
/* The same with a hash of crypt(5) that another server made; an empty one: nobody can sign in before a
 * password is set. Without a verifier: SCRAM works after a first sign-in with PLAIN or LOGIN. */
bool accounts_user_add_hashed(struct accounts *accounts, struct bytes address, struct bytes hash,
                              struct error *error);
bool accounts_user_hash(struct accounts *accounts, struct bytes address, struct bytes hash,
                        struct error *error);
/* True if crypt(3) knows the method of the hash. */
bool accounts_hash_is_usable(struct bytes hash);
#define ACCOUNTS_NO_PASSWORD "*" /* in place of a hash */
/* Appends the hash of a password, with SASLprep. Slow on purpose. */
bool accounts_hash_password(struct bytes password, struct buffer *hash, struct error *error);

/* Adds all or none, in the order domains, users, aliases; rows that exist stay as they are. *added: the new
 * ones. Aliases are checked as by accounts_alias_add_all(). */
struct accounts_import {
    enum accounts_import_kind {
        ACCOUNTS_IMPORT_DOMAIN = 'D',
        ACCOUNTS_IMPORT_USER = 'U', /* `value`: a hash, or empty */
        ACCOUNTS_IMPORT_ALIAS = 'A' /* `value`: the target */
    } kind;
    struct bytes name, value;
};
bool accounts_import(struct accounts *accounts, const struct accounts_import *items, size_t count,
                     size_t *added, struct error *error);
/* Stores a verifier made after a password, or with `key` an application password, was verified; only if
 * there is none yet and, for a password, while its hash is unchanged. */
bool accounts_learn(struct accounts *accounts, struct bytes address, struct bytes key,
                    struct bytes password_hash, struct bytes verifier, struct error *error);
bool accounts_user_disable(struct accounts *accounts, struct bytes address, bool disabled,
                           struct error *error);
/* Forwards mail to `target`; empty: stops. Mail in a loop stays here. */
bool accounts_user_forward(struct accounts *accounts, struct bytes address, struct bytes target, bool keep,
                           struct error *error);
/* Sets the quota of the mailbox, 0: no limit; NULL: the configured default. */
bool accounts_user_quota(struct accounts *accounts, struct bytes address, const uint64_t *octets,
                         struct error *error);
/* NULL: removes it. */
bool accounts_user_away(struct accounts *accounts, struct bytes address, const struct account_away *away,
                        struct error *error);
/* Removes the user, with keys, forwarding and vacation reply, and from aliases and forwardings. */
bool accounts_user_remove(struct accounts *accounts, struct bytes address, struct error *error);
bool accounts_domain_add(struct accounts *accounts, struct bytes domain, struct error *error);
bool accounts_domain_remove(struct accounts *accounts, struct bytes domain, struct error *error);
bool accounts_alias_add(struct accounts *accounts, struct bytes address, struct bytes target,
                        struct error *error);
/* Adds all or none: rejects targets that do not exist, lead back to the alias, or are unknown local
 * addresses. *added: the new ones. */
bool accounts_alias_add_all(struct accounts *accounts, struct bytes address, const struct bytes *targets,
                            size_t count, size_t *added, struct error *error);
/* Makes the domain another one: each address of it that is neither a user nor an alias is the same one in
 * `other`, which must be hosted. Adds the domain if it is not. It must not have a catch-all of its own. */
bool accounts_domain_is(struct accounts *accounts, struct bytes domain, struct bytes other,
                        struct error *error);
/* Empty target: removes the whole alias. */
bool accounts_alias_remove(struct accounts *accounts, struct bytes address, struct bytes target,
                           struct error *error);
/* Appends the secret, which is shown once and stored only as a hash. */
bool accounts_key_add(struct accounts *accounts, struct bytes user, struct bytes name, struct buffer *secret,
                      struct error *error);
/* Appends its owner to `user`. */
bool accounts_key_revoke(struct accounts *accounts, struct bytes id, struct buffer *user,
                         struct error *error);

/*
 * Lists, with columns as texts. users: address, disabled, created, forward (may be NULL), keeps, away,
 * quota (may be NULL); quotas: address, quota, only individual ones; domains: name; aliases: address,
 * target; keys: id, user, name, created. With one row: LIST_ACCOUNT, of a user: address, quota (NULL:
 * default), and since_ms, until_ms, days, subject, text of the vacation reply (NULL: none); LIST_DOMAIN:
 * name.
 */
enum accounts_list {
    LIST_USERS,
    LIST_QUOTAS,
    LIST_DOMAINS,
    LIST_ALIASES,
    LIST_KEYS,
    LIST_ACCOUNT,
    LIST_DOMAIN,
    LISTS
};
enum { LIST_COLUMNS_MAX = 7 };
/* Called per row; texts live until it returns. */
typedef void accounts_row(void *owner, const char *const *columns, size_t count);
bool accounts_each(struct accounts *accounts, enum accounts_list list, accounts_row *each, void *owner,
                   struct error *error);
/* Lists at most `max` rows after `after` (empty: from the first; LIST_ACCOUNT and LIST_DOMAIN: the
 * subject). `next`, cleared first, gets the start of the next page; empty: that was the last. */
bool accounts_page_of(struct accounts *accounts, enum accounts_list list, struct bytes after, size_t max,
                      accounts_row *each, void *owner, struct buffer *next, struct error *error);

/* True if the last query failed (the disk, or a writer that held the file too long): its result is then
 * meaningless. */
bool accounts_are_unreadable(struct accounts *accounts);

/* Appends a new random password that is easy to read out. */
void accounts_random_password(struct buffer *out);

/* Uses crypt(3) with yescrypt; the password must be prepared (saslprep.h). Slow on purpose: to be called
 * on a separate thread. */
bool accounts_password_matches(const char *hash, const char *password);
/* Returns the hash of an unusable password, for users that do not exist. */
const char *accounts_dummy_hash(void);

#endif
