/* SPDX-License-Identifier: Apache-2.0 */
/* unit: the headers that cmocka requires, and comparison of octets. */
#ifndef MAILBOAT_TESTS_UNIT_H
#define MAILBOAT_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"

static inline void assert_text_at(struct bytes got, const char *wanted, const char *file, int line)
{
    if (!bytes_is(got, wanted)) {
        print_error("got \"%.*s\", wanted \"%s\"\n", BYTES_ARG(got), wanted);
        _fail(file, line);
    }
}
#define assert_text(got, wanted) assert_text_at((got), (wanted), __FILE__, __LINE__)

#endif
