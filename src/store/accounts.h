/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts: users, domains, aliases and application passwords in
 * DATA/accounts/accounts.db (SQLite with a rollback journal, see docs/decisions).
 * The auth process is its one writer (service/auth/account_writer.h); a
 * subcommand takes its part while no server runs. Each handle is one thread's.
 *
 * Addresses are kept canonical: without quotes, local part and domain in
 * lower case, the domain as A-labels.
 */
#ifndef MAILBOAT_STORE_ACCOUNTS_H
#define MAILBOAT_STORE_ACCOUNTS_H

#include "base/arena.h"
#include "base/error.h"
#include "core/smtp/address.h"
#include "core/smtp/envelope.h"
#include "io/verifier.h"

enum accounts_limit {
    /* that one address becomes at once; an address that stands for more is left to accounts_expand() */
    RESOLVE_TARGETS_MAX = 100,
    /* aliases and forwardings behind one address that are followed at once; the same */
    RESOLVE_PLACES_MAX = 100,
    ROAD_PLACES_MAX = 10000, /* that are followed to learn whether anybody is at the end */
    EXPANSION_PAGE = 500,    /* targets of one alias that are looked at together */
    PASSWORD_MAX = 511,      /* octets: as many as crypt(3) takes */
    ACCOUNT_KEYS_MAX = 100,  /* of one user, that SCRAM tries; PLAIN and LOGIN know them all */
    KEY_SECRET_LENGTH = 26,  /* characters of base 32: 130 random bits */
};
#define ACCOUNT_QUOTA_MAX ((uint64_t)1 << 60) /* octets */

struct accounts;

/* `folder` is DATA/accounts. `writable`: makes the file where it is missing. NULL with a
 * reason when it cannot be opened, or is not ours, or is damaged (never overwritten). */
struct accounts *accounts_open(const char *folder, bool writable, struct error *error);
void accounts_close(struct accounts *accounts);

/* Domains of the configuration, hosted besides those in the file. The texts
 * must live as long as `accounts`. */
void accounts_host(struct accounts *accounts, const char *const *domains, size_t count);

/* Appends the canonical form; false when it is not an address. */
bool accounts_canonical(struct buffer *out, struct bytes address);
/* A domain as A-labels in lower case; false when it is none. */
bool accounts_domain(struct buffer *out, struct bytes domain);

/* "ada+news@example.org" is for "ada@example.org"; none where there is no tag. */
struct bytes accounts_without_tag(struct bytes address, struct arena *arena);

bool accounts_is_hosted(struct accounts *accounts, struct bytes domain);

/* ---- what auth asks ---- */

struct account {
    struct bytes address;  /* canonical */
    struct bytes password; /* its hash, as crypt(3) writes it */
    bool disabled;
    struct bytes forward; /* where mail goes on to; empty: nowhere */
    bool keeps;           /* keeping a copy */
    bool away;            /* there is an answer for absences, whether its time is now or not */
    bool has_quota;       /* of its own; else the configuration's holds */
    uint64_t quota;       /* octets that the mailbox may hold; 0: no limit */
    bool has_verifier;    /* for SCRAM: of the password, or of the key that was found */
    struct verifier verifier;
    struct bytes key; /* accounts_find_key(): its id */
};
/* False when there is no such user. Texts live in `arena`. */
bool accounts_find(struct accounts *accounts, struct bytes address, struct arena *arena,
                   struct account *account);

/* The same, where it may sign in: it is not disabled, and its domain is hosted (still). */
bool accounts_find_usable(struct accounts *accounts, struct bytes user, struct arena *arena,
                          struct account *account);

/* The user whose application password this is; false when it is none. */
bool accounts_find_key(struct accounts *accounts, struct bytes user, struct bytes secret, struct arena *arena,
                       struct account *account);

/* The salt of SCRAM for this name, whether there is such a user or not: it
 * follows from the name and a secret of this installation. */
void accounts_salt(const struct accounts *accounts, struct bytes user, uint8_t salt[VERIFIER_SALT]);
/* The verifiers of a user's application passwords; `address` is canonical. */
struct key_verifier {
    char id[9]; /* KEY_ID_LENGTH and NUL */
    struct verifier verifier;
};
size_t accounts_key_verifiers(struct accounts *accounts, struct bytes address, struct key_verifier *keys,
                              size_t count_max);

/*
 * What a session signed in with, as a text to remember: the key (account->key)
 * or the password that the account has now. It tells nothing of the secret.
 * accounts_credential_holds() says later whether one could sign in with it
 * still: false once the user is removed or disabled, the domain is not hosted
 * any more, the key is revoked, or the password was set again, to the same one
 * too.
 */
void accounts_credential(const struct accounts *accounts, const struct account *account, struct buffer *out);
bool accounts_credential_holds(struct accounts *accounts, struct bytes user, struct bytes credential);

/* What is answered in a user's absence: message/vacation.h. */
struct account_away {
    uint64_t since_ms, until_ms; /* from and up to when; until 0: for ever */
    uint32_t days;               /* a sender is answered once in so many */
    struct bytes subject, text;
};
/* `user` is canonical. False when there is none. Texts live in `arena`. */
bool accounts_away(struct accounts *accounts, struct bytes user, struct arena *arena,
                   struct account_away *away);

enum accounts_target { TARGETS_FOUND, TARGETS_UNKNOWN, TARGETS_FOREIGN };
/*
 * Where mail for an address goes: the mailbox of a user (user+tag too), the
 * targets of an alias, where a user has mail forwarded, those of the domain's
 * catch-all ("@example.org" as an alias), for postmaster somebody who is
 * there. FOREIGN when the domain is not hosted, UNKNOWN too when there is
 * nobody at the end. `targets` (in `arena`) are not repeated. Where they are
 * more than fit, or one of them is not there, the only target is one that
 * expands: whoever has the message asks accounts_expand().
 */
enum accounts_target accounts_resolve(struct accounts *accounts, struct bytes address, struct arena *arena,
                                      struct recipient **targets, size_t *target_count);

/* A page of who is behind an address that expands. */
struct accounts_page {
    bool known; /* else there is no such alias or user any more */
    /* mailboxes, addresses elsewhere, and what expands again, with its own name as `via` */
    struct recipient *members;
    size_t member_count;
    /* targets of which nobody is there, or that lead back to nobody: the address alone */
    struct recipient *missing;
    size_t missing_count;
    struct bytes after; /* where the next page begins; empty: that was the last */
};
/*
 * As the accounts are now. A user's forwarding that leads to nobody is not
 * followed: the mail stays with the user. What the address was when the
 * message was accepted does not matter, unless it is nobody's any more.
 */
struct accounts_page accounts_expand(struct accounts *accounts, const struct recipient *place,
                                     struct bytes after, size_t max, struct arena *arena);

/* May the account send as this address? Its own, its +tags, and aliases that
 * lead to it alone or among others. */
bool accounts_may_send(struct accounts *accounts, struct bytes account, struct bytes address);

/* ---- what subcommands do; false with a reason ---- */

bool accounts_user_add(struct accounts *accounts, struct bytes address, struct bytes password,
                       struct error *error);
bool accounts_user_password(struct accounts *accounts, struct bytes address, struct bytes password,
                            struct error *error);
/* A verifier that was made when a password, or with `key` an application
 * password, was found right; only where there is none yet and, for a
 * password, while it still has this hash. */
bool accounts_learn(struct accounts *accounts, struct bytes address, struct bytes key,
                    struct bytes password_hash, struct bytes verifier, struct error *error);
bool accounts_user_disable(struct accounts *accounts, struct bytes address, bool disabled,
                           struct error *error);
/* Mail goes on to `target`; empty: no more. What leads back to nobody else stays here. */
bool accounts_user_forward(struct accounts *accounts, struct bytes address, struct bytes target, bool keep,
                           struct error *error);
/* How much the mailbox may hold, 0: no limit; NULL: what the configuration says for all. */
bool accounts_user_quota(struct accounts *accounts, struct bytes address, const uint64_t *octets,
                         struct error *error);
/* NULL: no more. */
bool accounts_user_away(struct accounts *accounts, struct bytes address, const struct account_away *away,
                        struct error *error);
/* With its keys, forwarding and answer, and where aliases and forwardings lead to it. */
bool accounts_user_remove(struct accounts *accounts, struct bytes address, struct error *error);
bool accounts_domain_add(struct accounts *accounts, struct bytes domain, struct error *error);
bool accounts_domain_remove(struct accounts *accounts, struct bytes domain, struct error *error);
bool accounts_alias_add(struct accounts *accounts, struct bytes address, struct bytes target,
                        struct error *error);
/* All of them or none: refused with what leads to nobody, back to the alias,
 * or is an address here that nobody has. *added: those that were not there. */
bool accounts_alias_add_all(struct accounts *accounts, struct bytes address, const struct bytes *targets,
                            size_t count, size_t *added, struct error *error);
/* Empty target: the whole alias. */
bool accounts_alias_remove(struct accounts *accounts, struct bytes address, struct bytes target,
                           struct error *error);
/* Appends the secret, which is shown once and kept only as a hash. */
bool accounts_key_add(struct accounts *accounts, struct bytes user, struct bytes name, struct buffer *secret,
                      struct error *error);
/* Appends to `user` whose it was. */
bool accounts_key_revoke(struct accounts *accounts, struct bytes id, struct buffer *user,
                         struct error *error);

/*
 * Lists, their columns as texts. users: address, disabled, created, forward (may be NULL),
 * keeps, away, quota (may be NULL); quotas: address, quota, of those that have their own;
 * domains: name; aliases: address, target; keys: id, user, name, created.
 * Of one: LIST_ACCOUNT, of a user: address, quota (NULL: none of its own), and since_ms,
 * until_ms, days, subject, text of its answer for absences (NULL: none); LIST_DOMAIN: name.
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
/* One row a call; texts live until it returns. */
typedef void accounts_row(void *owner, const char *const *columns, size_t count);
bool accounts_each(struct accounts *accounts, enum accounts_list list, accounts_row *each, void *owner,
                   struct error *error);
/* At most `max` rows behind `after` (empty: from the first; LIST_ACCOUNT and LIST_DOMAIN:
 * whose). `next`, cleared first, gets where the next page begins; empty: that was the last. */
bool accounts_page_of(struct accounts *accounts, enum accounts_list list, struct bytes after, size_t max,
                      accounts_row *each, void *owner, struct buffer *next, struct error *error);

/* True when the last question could not be answered (the disk, or a writer
 * that holds the file for too long): what it said then means nothing. */
bool accounts_are_unreadable(struct accounts *accounts);

/* A new random password that a person can read out. */
void accounts_random_password(struct buffer *out);

/* crypt(3) with yescrypt; the password is prepared (saslprep.h).
 * Slow on purpose: on a thread of its own, please. */
bool accounts_password_matches(const char *hash, const char *password);
/* The hash of a password nobody has, for users that do not exist. */
const char *accounts_dummy_hash(void);

#endif
