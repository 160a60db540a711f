/* SPDX-License-Identifier: Apache-2.0 */
/* Dovecot's users and their stored passwords: a hash has a form that crypt(3) can have written. */
#include "choices.h"
#include "core/import/passwd_file.h"

static void check(struct stored_password stored)
{
    if (stored.kind == STORED_HASH) {
        INSIST(stored.value.length >= 13 && stored.value.length <= STORED_HASH_MAX);
        struct stored_password again = stored_password_read(stored.value, true);
        INSIST(again.kind == STORED_HASH && bytes_equal(again.value, stored.value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct passwd_file_user user;
    size_t number = 0, last = 0;
    check(stored_password_read(rest, false));
    check(stored_password_read(rest, true));
    for (; passwd_file_next(&rest, &number, &user); last = number) {
        INSIST(number > last && bytes_find(user.name, ':') == SIZE_MAX);
        check(user.password);
    }
    return 0;
}
