/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_reader: reads a report of another server, of any kind: the whole message that carries it, or the
 * report alone, packed or not (core/trust/report.h). The input is untrusted: the limits are those of
 * core/trust/report_mail.h, io/unpack.h, io/report_json.h and core/trust/report_aggregate.h.
 */
#ifndef MAILBOAT_IO_REPORT_READER_H
#define MAILBOAT_IO_REPORT_READER_H

#include "base/error.h"
#include "core/trust/report.h"
#include "io/unpack.h"

enum report_reader_limit {
    /* octets of a message: a packed report in base64, with its header */
    REPORT_MESSAGE_MAX = UNPACK_PACKED_MAX / 3 * 4 + 1024 * 1024,
};

/* False with the reason (65). Texts live in `arena`, and are fit for a terminal. */
bool report_reader_read(struct bytes content, struct arena *arena, struct report *report,
                        struct error *error);

#endif
