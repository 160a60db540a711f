/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_machine: what `config check` can know of this machine without starting the server: the certificate
 * and its key, the data directory under the protection of the systemd unit, the host name, the ports.
 */
#ifndef MAILBOAT_CLI_SERVER_CONFIG_MACHINE_H
#define MAILBOAT_CLI_SERVER_CONFIG_MACHINE_H

#include "base/buffer.h"
#include "config/config.h"

/* False if the server would not start, with the reason. Otherwise appends one line with "\n" per warning. */
bool config_machine_check(const struct config *config, struct buffer *warnings, struct error *error);

#endif
