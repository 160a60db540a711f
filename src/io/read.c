/* SPDX-License-Identifier: Apache-2.0 */
#include "io/read.h"

#include <errno.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024 };

bool read_up_to(int descriptor, size_t max, struct buffer *out)
{
    while (max > 0) {
        size_t step = max < READ_STEP ? max : READ_STEP;
        ssize_t got = read(descriptor, buffer_reserve(out, step), step);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        buffer_written(out, (size_t)got);
        max -= (size_t)got;
    }
    return true;
}
