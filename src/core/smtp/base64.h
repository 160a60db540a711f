/* SPDX-License-Identifier: Apache-2.0 */
/* base64: RFC 4648 section 4, strict: padding is required, nothing else is allowed. */
#ifndef MAILBOAT_CORE_SMTP_BASE64_H
#define MAILBOAT_CORE_SMTP_BASE64_H

#include "base/buffer.h"

void base64_encode(struct buffer *out, struct bytes octets);
/* False if malformed: nothing is appended. */
bool base64_decode(struct buffer *out, struct bytes text);

#endif
