/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue/store.h"

#include <poll.h>

enum { COMMIT_LOOK_MS = 1000 }; /* a store that is gone may not say so */

void store_commit_wait(const struct store *store)
{
    struct pollfd ready = {.fd = store_commit_descriptor(store), .events = POLLIN};
    poll(&ready, 1, COMMIT_LOOK_MS);
}

enum store_verdict store_commit(struct store *store, struct error *error)
{
    enum store_verdict verdict;
    store_commit_start(store);
    while (!store_commit_done(store, &verdict, error))
        store_commit_wait(store);
    return verdict;
}
