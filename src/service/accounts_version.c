/* SPDX-License-Identifier: Apache-2.0 */
#include "service/accounts_version.h"

const struct shared_memory accounts_version_memory = {.name = "the accounts' version",
                                                      .octets = sizeof(struct accounts_version)};
