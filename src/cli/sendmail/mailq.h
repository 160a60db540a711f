/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailq: what waits, in the form in which Postfix lists it (with its long
 * queue ids), for the programs and people that read that form.
 */
#ifndef MAILBOAT_CLI_SENDMAIL_MAILQ_H
#define MAILBOAT_CLI_SENDMAIL_MAILQ_H

#include <stdio.h>

#include "base/error.h"
#include "store/store_open.h"

/* False with a reason when it cannot be read. */
bool mailq_print(const struct store_place *place, FILE *out, struct error *error);

#endif
