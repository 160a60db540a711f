/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drop_file: one file of the drop directory. Any user may have put it there, and nothing in it is trusted:
 * it is opened without following a link, must be a complete regular file with one name, within the limits;
 * its owner is reported by the kernel.
 */
#ifndef MAILBOAT_SERVICE_PICKUP_DROP_FILE_H
#define MAILBOAT_SERVICE_PICKUP_DROP_FILE_H

#include <limits.h>
#include <sys/types.h>

#include "base/arena.h"
#include "core/smtp/envelope.h"

struct drop_file {
    char name[NAME_MAX + 1];
    int file;
    uint32_t uid;             /* of its owner */
    uint64_t head;            /* octets before the message */
    struct envelope envelope; /* `size` octets of message; its texts live in `arena` */
    struct arena arena;
};

enum drop_file_verdict {
    DROP_FILE_FINE,
    DROP_FILE_BAD,   /* permanently invalid; see *wrong */
    DROP_FILE_GONE,  /* no file with this name */
    DROP_FILE_LATER, /* temporarily out of resources */
};

struct drop_file_limits {
    uint64_t size_max;
    uint32_t recipients_max;
};

/* Opens it and reads its head; unless FINE, nothing stays open. */
enum drop_file_verdict drop_file_open(struct drop_file *drop_file, int folder, const char *name,
                                      const struct drop_file_limits *limits, const char **wrong);
void drop_file_close(struct drop_file *drop_file);

/* Reads the next octets of the message from `at` on (0: its first); 0 at its end, -1 on a read error. */
ssize_t drop_file_read(const struct drop_file *drop_file, uint64_t at, char *room, size_t size);

#endif
