/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cause: the table of what can be wrong. A row is judged for itself; what
 * another row explains better is kept out by `against`, never by order.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_CAUSE_H
#define MAILBOAT_CORE_DIAGNOSIS_CAUSE_H

#include "core/diagnosis/step.h"

/* Where the cause is, and so who can act. */
enum cause_place {
    PLACE_UNKNOWN,
    PLACE_PROGRAM,  /* this program, or its settings */
    PLACE_MACHINE,  /* this machine */
    PLACE_NETWORK,  /* its network */
    PLACE_PROVIDER, /* the provider of its network: hosting, cloud, ISP */
    PLACE_PATH,     /* something on the way */
    PLACE_SERVER,   /* the server that was meant, or its DNS */
    PLACE_ACCOUNT,
};

enum cause {
    /* nothing is wrong, or nothing was found */
    CAUSE_NONE,
    CAUSE_UNKNOWN,
    /* DNS */
    CAUSE_NO_RESOLVER,
    CAUSE_RESOLVER_SILENT,
    CAUSE_RESOLVER_REFUSES,
    CAUSE_NAME_MISSPELLED,
    CAUSE_NAME_UNKNOWN,
    CAUSE_NAME_INVENTED,
    CAUSE_NAME_BLOCKED,
    CAUSE_DNS_CLOSED,
    CAUSE_NAME_IS_DOMAIN,
    CAUSE_NAME_WITHOUT_ADDRESS,
    CAUSE_DOMAIN_DNS_BROKEN,
    CAUSE_DNS_LIES,
    CAUSE_LOOPBACK_NAME,
    CAUSE_HOSTS_FILE,
    CAUSE_ADDRESS_IMPOSSIBLE,
    CAUSE_FAKE_ADDRESS,
    CAUSE_WEB_PROXY_ADDRESS,
    /* the network */
    CAUSE_NO_NETWORK,
    CAUSE_IPV6_ONLY_HOST,
    CAUSE_IPV4_ONLY_HOST,
    CAUSE_IPV6_BROKEN,
    CAUSE_LOCAL_RULE,
    CAUSE_ALL_PORTS_BLOCKED,
    CAUSE_PORTS_BLOCKED,
    CAUSE_PORT_25_BLOCKED,
    CAUSE_FIREWALL_REJECTS,
    CAUSE_ALLOW_LIST,
    CAUSE_ROUTER_LIST,
    CAUSE_PROXY_REQUIRED,
    CAUSE_PORTAL,
    CAUSE_PORT_NOT_OFFERED,
    CAUSE_SERVER_FIREWALL,
    CAUSE_BANNED,
    CAUSE_HOST_REJECTS,
    CAUSE_RECEIVES_ONLY,
    CAUSE_INTERNAL_RELAY,
    CAUSE_PRIVATE_HOST,
    CAUSE_ROUTER_ANSWERS,
    CAUSE_HOST_DOWN,
    CAUSE_NOT_LISTENING,
    CAUSE_NOT_LISTENING_HERE,
    CAUSE_LISTENS_ON_LOOPBACK,
    CAUSE_CONTAINER_LOCALHOST,
    CAUSE_PACKETS_TOO_LARGE,
    CAUSE_TLS_CUT,
    /* the answering server */
    CAUSE_REDIRECTED,
    CAUSE_LOCAL_PROXY,
    CAUSE_TWO_HOSTS,
    CAUSE_SCANNER,
    CAUSE_INSPECTION,
    CAUSE_INTERCEPTED,
    CAUSE_STARTTLS_STRIPPED,
    CAUSE_OTHER_SERVICE,
    /* the server */
    CAUSE_STARTTLS_MISSING,
    CAUSE_STARTTLS_REFUSED,
    CAUSE_TLS_MODE,
    CAUSE_TLS_OLD,
    CAUSE_TLS_CLIENT_CERTIFICATE,
    CAUSE_TLS_BROKEN,
    CAUSE_CLOCK,
    CAUSE_CA_MISSING,
    CAUSE_CERTIFICATE_EXPIRED,
    CAUSE_CERTIFICATE_NOT_YET,
    CAUSE_CERTIFICATE_NAME,
    CAUSE_NAMED_BY_ADDRESS,
    CAUSE_CERTIFICATE_CHAIN,
    CAUSE_CERTIFICATE_SELF_SIGNED,
    CAUSE_CERTIFICATE_ISSUER,
    CAUSE_CERTIFICATE_INVALID,
    CAUSE_LISTED,
    CAUSE_REVERSE_DNS,
    CAUSE_TOO_MANY,
    CAUSE_LATER,
    CAUSE_HELO,
    CAUSE_UNWILLING,
    CAUSE_MUTE,
    CAUSE_CLOSED,
    CAUSE_SLOW,
    CAUSE_NO_AUTH,
    CAUSE_AUTH_FOREIGN,
    /* the account, and the message: cause_table_reply.c */
    CAUSE_OF_REPLIES,
    CAUSE_OAUTH_ONLY = CAUSE_OF_REPLIES,
    CAUSE_APPLICATION_PASSWORD,
    CAUSE_PASSWORD,
    CAUSE_PASSWORD_TO_ANOTHER,
    CAUSE_ACCOUNT_OFF,
    CAUSE_ADDRESS_NOT_ALLOWED,
    CAUSE_BROWSER_FIRST,
    CAUSE_AUTH_METHOD,
    CAUSE_AUTH_LATER,
    CAUSE_NOT_SIGNED_IN,
    CAUSE_RELAY_DENIED,
    CAUSE_RELAY_NOT_ALLOWED,
    CAUSE_TLS_NOT_SEEN,
    CAUSE_SENDER,
    CAUSE_RECIPIENT,
    CAUSE_MAILBOX_FULL,
    CAUSE_SERVER_FULL,
    CAUSE_LIMIT,
    CAUSE_SIZE,
    CAUSE_DOMAIN_UNAUTHENTICATED,
    CAUSE_MESSAGE_LISTED,
    CAUSE_MESSAGE_LATER,
    CAUSE_MESSAGE_REJECTED,
    CAUSE_COUNT
};

enum cause_limit { CAUSE_NEEDS_MAX = 4, CAUSE_FINDINGS_MAX = 16, CAUSE_STEPS_MAX = 5 };

struct cause_row {
    const char *name; /* "ports-blocked", for --json and tests */
    enum cause_place place;
    int weight;                                /* of two that hold, the larger comes first */
    enum finding needs[CAUSE_NEEDS_MAX];       /* all of them */
    enum finding any[CAUSE_FINDINGS_MAX];      /* one of them at least, where there are any */
    enum finding likelier[CAUSE_FINDINGS_MAX]; /* evidence for */
    enum finding against[CAUSE_FINDINGS_MAX];  /* none of them */
    enum finding proof[CAUSE_NEEDS_MAX];       /* one of them makes it certain */
    const char *sentence;                      /* with {…}, see words.h */
    enum step_kind steps[CAUSE_STEPS_MAX];     /* the first first; those whose guard holds */
};

const struct cause_row *cause_row(enum cause cause);
const struct cause_row *cause_row_of_reply(enum cause cause); /* for cause_row() */
/* All needs hold, one of `any`, and nothing against. */
bool cause_holds(enum cause cause, const struct findings *findings);
bool cause_is_proved(enum cause cause, const struct findings *findings);
/* How many of `any` and `likelier` hold. */
size_t cause_support(enum cause cause, const struct findings *findings);
/* Returns the facts to gather (enum fact_kind) to decide whether a cause holds, and how surely; for a
 * cause that is not ruled out yet. */
unsigned cause_lacks(enum cause cause, const struct findings *findings);

#endif
