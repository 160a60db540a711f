/* SPDX-License-Identifier: Apache-2.0 */
/* write: writes all octets to a blocking descriptor, in as many calls as needed. */
#ifndef MAILBOAT_IO_WRITE_H
#define MAILBOAT_IO_WRITE_H

#include "base/bytes.h"

/* False with errno if incomplete. */
bool write_all(int descriptor, struct bytes octets);

#endif
