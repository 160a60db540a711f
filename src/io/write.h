/* SPDX-License-Identifier: Apache-2.0 */
/* write: all octets to a descriptor that blocks, however many calls that takes. */
#ifndef MAILBOAT_IO_WRITE_H
#define MAILBOAT_IO_WRITE_H

#include "base/bytes.h"

/* False with errno when not all went. */
bool write_all(int descriptor, struct bytes octets);

#endif
