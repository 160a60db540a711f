/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diagnose: a host is examined, or was raced by a subcommand, and judged. Blocks for
 * ten seconds at most (dial/examine.h).
 */
#ifndef MAILBOAT_CLI_PORTS_DIAGNOSE_H
#define MAILBOAT_CLI_PORTS_DIAGNOSE_H

#include "core/diagnosis/diagnosis.h"
#include "dial/examine.h"

struct diagnose {
    struct loop loop;
    struct tls_context tls;
    struct dns *dns;
    struct examine examine; /* its `target` is the race over the ports, its `facts` what was seen */
    struct fact_history history;
    struct diagnosis diagnosis;
    bool has_tls, has_loop, begun, done;
};

/* `options`: all but `history`. False with a reason where nothing could be begun; where the host has no
 * address, the facts say so and the result is true. diagnose_end() in any case. */
bool diagnose_start(struct diagnose *diagnose, const struct examine_options *options, const char *ca_file,
                    struct error *error);
void diagnose_end(struct diagnose *diagnose);

/* Takes what a race of `send` saw, adds what this machine tells, and sends nothing: its user waits. */
void diagnose_at_hand(const struct port_connect *seen, const char *host, const char *user,
                      struct diagnosis_facts *facts);
/* Adds the facts of this machine that are missing. */
void diagnose_machine(struct diagnosis_facts *facts);

#endif
