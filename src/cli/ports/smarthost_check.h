/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smarthost_check: for doctor, whether the configured smarthost can be used: its ports are examined as
 * `ports` does it, while doctor tries its own, so that no time is added. Nothing is sent, and nobody signs
 * in.
 *
 * smarthost_check_start() on a loop; on_done() once; then smarthost_check_judge(). Without a smarthost
 * nothing is begun, and on_done() is not called. smarthost_check_end() in any case.
 */
#ifndef MAILBOAT_CLI_PORTS_SMARTHOST_CHECK_H
#define MAILBOAT_CLI_PORTS_SMARTHOST_CHECK_H

#include <jansson.h>

#include "config/config.h"
#include "dial/examine.h"

struct smarthost_check {
    const char *host; /* NULL: none is configured */
    uint16_t port;    /* that is configured; 0: whichever works */
    struct examine examine;
    struct tls_context tls; /* with the CA certificates that the relay trusts, where it names some */
    struct fact_history history;
    struct diagnosis diagnosis;
    bool begun, done, has_tls;
    void (*on_done)(void *owner);
    void *owner;
};

/* `check->on_done` and `check->owner` are set. */
void smarthost_check_start(struct smarthost_check *check, const struct config *config, struct loop *loop,
                           struct tls_context *tls, struct dns *dns, bool own_ca);
void smarthost_check_judge(struct smarthost_check *check);
void smarthost_check_end(struct smarthost_check *check);

/* It can be used, as configured. */
bool smarthost_check_works(const struct smarthost_check *check);
/* Appends why not, and what to do: one line. */
void smarthost_check_explain(const struct smarthost_check *check, struct buffer *out);
void smarthost_check_print(const struct smarthost_check *check);
/* NULL without a smarthost. */
json_t *smarthost_check_json(const struct smarthost_check *check);

#endif
