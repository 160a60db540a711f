/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "config/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

/* Reads at most one octet more than a line with its end may have. Without stdio, which has buffers of its
 * own. */
static bool read_start(int file, struct buffer *out)
{
    enum { WANTED = SECRET_FILE_LINE_MAX + 3 };
    char *buffer = buffer_reserve(out, WANTED);
    ssize_t got = 1;
    while (got > 0 && out->length < WANTED) {
        got = read(file, buffer + out->length, WANTED - out->length);
        if (got > 0)
            buffer_written(out, (size_t)got);
        else if (got < 0 && errno == EINTR)
            got = 1;
    }
    return got >= 0;
}

static void keep_first_line(struct buffer *out)
{
    size_t end = bytes_find(buffer_bytes(out), '\n');
    size_t length = end == SIZE_MAX ? out->length : end;
    if (length > 0 && out->at[length - 1] == '\r')
        length--;
    explicit_bzero(out->at + length, out->length - length);
    out->length = length;
}

bool secret_file_read(const char *key, const char *file, struct buffer *out, struct error *error)
{
    int opened = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool done = opened >= 0 && read_start(opened, out);
    if (!done)
        error_set_errno(error, EX_CONFIG, "%s: cannot read a password from %s", key, file);
    if (opened >= 0)
        close(opened);
    if (!done)
        return false;
    keep_first_line(out);
    if (out->length == 0)
        return error_set(error, EX_CONFIG, "%s: cannot read a password from %s: its first line is empty", key,
                         file);
    if (out->length > SECRET_FILE_LINE_MAX)
        return error_set(error, EX_CONFIG, "%s: the first line of %s is longer than %d bytes", key, file,
                         SECRET_FILE_LINE_MAX);
    return bytes_find(buffer_bytes(out), '\0') == SIZE_MAX ||
           error_set(error, EX_CONFIG, "%s: the first line of %s contains NUL; is it a text file?", key,
                     file);
}

bool secret_file_check(const char *key, const char *file, struct error *error)
{
    struct buffer line = {0};
    bool read = secret_file_read(key, file, &line, error);
    buffer_wipe(&line);
    return read;
}
