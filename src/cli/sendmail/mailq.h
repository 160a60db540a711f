/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailq: lists the queue in the format of Postfix (with its long queue ids), for programs and users that
 * expect it.
 */
#ifndef MAILBOAT_CLI_SENDMAIL_MAILQ_H
#define MAILBOAT_CLI_SENDMAIL_MAILQ_H

#include "base/error.h"
#include "store/store_open.h"

/* Prints to standard output, wrapped on a narrow terminal. False with a reason if it cannot be read. */
bool mailq_print(const struct store_place *place, struct error *error);

#endif
