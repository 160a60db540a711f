/* SPDX-License-Identifier: Apache-2.0 */
#include "io/write.h"

#include <errno.h>
#include <unistd.h>

bool write_all(int descriptor, struct bytes octets)
{
    while (octets.length > 0) {
        ssize_t written = write(descriptor, octets.at, octets.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        octets = bytes_from(octets, (size_t)written);
    }
    return true;
}
