/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/auth/password_check.h"

#include "store/accounts.h"

static void run_check(struct work *work)
{
    struct password_check *check = (struct password_check *)(void *)work;
    struct verifier_keys keys;
    check->matches = check->hash == NULL || accounts_password_matches(check->hash, check->password);
    if (!check->matches || !check->wants_verifier)
        return;
    verifier_derive(&keys, bytes_of_text(check->password), bytes_of(check->salt, sizeof check->salt),
                    VERIFIER_ITERATIONS);
    check->verifier = keys.verifier;
    explicit_bzero(&keys, sizeof keys);
}

bool password_check_give(struct password_check *check, struct worker_threads *workers)
{
    check->work.run = run_check;
    return worker_threads_give(workers, &check->work);
}
