/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_plan: what becomes of the domains, users and aliases that another mail server had. import_plan_add()
 * for each that was found, import_plan_know() for what is here already, then import_plan_make(): each entry
 * has a verdict then. Names are canonical addresses: "ada@example.org", "@example.org", "example.org".
 *
 * An alias is left out if no mail would arrive by it: its target is in a domain that is hosted here and is
 * neither a user nor an alias nor covered by a catch-all, or it leads only back to the alias.
 */
#ifndef MAILBOAT_CORE_IMPORT_IMPORT_PLAN_H
#define MAILBOAT_CORE_IMPORT_IMPORT_PLAN_H

#include "base/arena.h"
#include "base/map.h"
#include "core/import/stored_password.h"

enum import_kind { IMPORT_DOMAIN, IMPORT_USER, IMPORT_ALIAS };

enum import_verdict {
    IMPORT_NEW,
    IMPORT_EXISTS,       /* here already, or named twice */
    IMPORT_NOT_HOSTED,   /* its domain is not hosted here */
    IMPORT_NO_TARGET,    /* the target does not exist here */
    IMPORT_LEADS_BACK,   /* the target leads back to the alias */
    IMPORT_OWN_NAME,     /* an alias of an address to itself, which is not a user */
    IMPORT_DOMAIN_MIXED, /* a domain that is another one cannot have a catch-all too */
    IMPORT_VERDICTS
};

enum import_password {
    IMPORT_PASSWORD_NONE,   /* the user cannot sign in before a password is set */
    IMPORT_PASSWORD_HASHED, /* `password.value` is a hash to keep */
    IMPORT_PASSWORD_PLAIN,  /* to hash */
};

struct import_entry {
    enum import_kind kind;
    struct bytes name;   /* a domain, the address of a user or alias, or "@domain" */
    struct bytes target; /* of an alias: an address, or "@domain": the same local part there */
    enum import_password password;
    struct bytes scheme, secret; /* of the password */
    struct bytes file;           /* where it was found */
    size_t line;                 /* 0: not in a line */
    enum import_verdict verdict;
    bool known; /* it is here already: not to be imported */
};

struct import_plan {
    struct arena arena; /* the texts of entries; wiped at the end: passwords are among them */
    struct import_entry *entries;
    size_t count, capacity;
    struct map domains, users, aliases; /* name to its first entry that counts */
    struct map pairs;                   /* alias and target */
};

void import_plan_start(struct import_plan *plan);
void import_plan_free(struct import_plan *plan);

/* Copies the entry's texts; `verdict` and `known` are set by the plan. */
void import_plan_add(struct import_plan *plan, const struct import_entry *entry);
/* Adds what is here already. */
void import_plan_know(struct import_plan *plan, enum import_kind kind, struct bytes name,
                      struct bytes target);

/* Decides. The domains of users are hosted, whether they were found or not: entries for those that are
 * missing are added. Needs memory and time in proportion to the entries, and to the longest chain of aliases.
 */
void import_plan_make(struct import_plan *plan);

size_t import_plan_count(const struct import_plan *plan, enum import_kind kind, enum import_verdict verdict);
/* Returns a clause about an entry that is left out; "" for NEW and EXISTS. */
const char *import_plan_reason(enum import_verdict verdict);

#endif
