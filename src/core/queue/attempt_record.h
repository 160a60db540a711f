/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_record: the result of one attempt to deliver to one recipient. The queue makes it, the store keeps
 * the last one of each recipient and a short history, subcommands filter and print it.
 */
#ifndef MAILBOAT_CORE_QUEUE_ATTEMPT_RECORD_H
#define MAILBOAT_CORE_QUEUE_ATTEMPT_RECORD_H

#include "base/bytes.h"

/* All empty before the first attempt. Texts are borrowed. */
struct attempt_record {
    uint64_t when_ms;       /* since the epoch */
    uint32_t code;          /* of the reply (RFC 5321 4.2); 0: there was none */
    struct bytes enhanced;  /* "4.7.1" (RFC 3463), as the server gave it; empty if absent */
    struct bytes text;      /* of the reply, or the reason why there was none */
    struct bytes peer, tls; /* tls: or "in clear: " and the reason; or empty */
};

#endif
