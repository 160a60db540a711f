/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/running_checks.h"

#include <assert.h>
#include <openssl/crypto.h>

static struct running_check *find(struct running_checks *running, uint64_t number)
{
    for (size_t i = 0; i < RUNNING_CHECKS_MAX; i++)
        if (running->checks[i].number == number)
            return &running->checks[i];
    return NULL;
}

uint64_t running_checks_add(struct running_checks *running, struct bytes user, struct bytes password)
{
    struct running_check *check = find(running, 0);
    assert(check != NULL);
    *check = (struct running_check){++running->last_number, user, password};
    return check->number;
}

void running_checks_remove(struct running_checks *running, uint64_t number)
{
    struct running_check *check = find(running, number);
    assert(number != 0 && check != NULL);
    *check = (struct running_check){0};
}

bool running_checks_has(const struct running_checks *running, uint64_t number)
{
    for (size_t i = 0; number != 0 && i < RUNNING_CHECKS_MAX; i++)
        if (running->checks[i].number == number)
            return true;
    return false;
}

uint64_t running_checks_equal(const struct running_checks *running, struct bytes user, struct bytes password)
{
    for (size_t i = 0; i < RUNNING_CHECKS_MAX; i++) {
        const struct running_check *check = &running->checks[i];
        if (check->number != 0 && bytes_equal(check->user, user) &&
            check->password.length == password.length &&
            CRYPTO_memcmp(check->password.at, password.at, password.length) == 0)
            return check->number;
    }
    return 0;
}
