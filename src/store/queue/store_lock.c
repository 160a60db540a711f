/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "store/queue/store_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/bytes.h"

enum { OWNER_TEXT_SIZE = 40 };

int store_lock_take(int folder, const char *path, struct error *error)
{
    const int make = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int descriptor = openat(folder, "lock", make, 0600);
    if (descriptor < 0) {
        error_set_errno(error, EX_CANTCREAT, "cannot open %s/lock", path);
        return -1;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_OFD_SETLK, &lock) != 0) {
        error_set(error, EX_TEMPFAIL,
                  "the queue in %s is in use by process %ld: only one server can use it at a time", path,
                  store_lock_owner(path));
        close(descriptor);
        return -1;
    }
    char text[OWNER_TEXT_SIZE];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(descriptor, 0) == 0)
        /* for information only: a full disk does not matter here */
        (void)!pwrite(descriptor, text, (size_t)length, 0);
    return descriptor;
}

long store_lock_owner(const char *folder)
{
    int descriptor = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    long owner = descriptor < 0 ? 0 : store_lock_owner_at(descriptor);
    if (descriptor >= 0)
        close(descriptor);
    return owner;
}

long store_lock_owner_at(int folder)
{
    int descriptor = openat(folder, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return 0;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool held = fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    char text[OWNER_TEXT_SIZE] = "";
    uint64_t owner = 0;
    if (held && pread(descriptor, text, sizeof text - 1, 0) > 0)
        bytes_to_u64(bytes_first(bytes_of_text(text), strcspn(text, "\n")), INT32_MAX, &owner);
    close(descriptor);
    return (long)owner;
}
