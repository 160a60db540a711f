/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diagnose: gets the facts that an examination of ports lacks, and judges them.
 * Blocks for DIAGNOSE_MS at most; sends nothing but EHLO, STARTTLS and QUIT, and
 * only to hosts that are meant to be called by anybody.
 */
#ifndef MAILBOAT_CLI_PORTS_DIAGNOSE_H
#define MAILBOAT_CLI_PORTS_DIAGNOSE_H

#include "core/diagnosis/diagnosis.h"
#include "dial/port_connect.h"

enum diagnose_limit { DIAGNOSE_MS = 5 * 1000 };

struct diagnose_options {
    const char *host;
    const char *ca_file; /* as in struct server_connection_options */
    enum fact_purpose purpose;
    bool only_target; /* no other host is called */
};

/* Fills `facts` from what was seen and from what is got besides. */
void diagnose_gather(const struct port_connect *seen, const struct diagnose_options *options,
                     struct diagnosis_facts *facts);
/* What this machine alone tells is added, and nothing is sent: for `send`, whose user waits. */
void diagnose_at_hand(const struct port_connect *seen, const struct diagnose_options *options,
                      struct diagnosis_facts *facts);
/* The facts of this machine that are missing; for a caller that fills attempts itself. */
void diagnose_machine(struct diagnosis_facts *facts);

#endif
