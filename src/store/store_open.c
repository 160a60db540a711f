/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_open.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "store/queue/sqlite.h"

static const struct {
    struct store *(*open)(const char *folder, enum store_access access, struct error *error);
    const char *file; /* in the folder: without it there is no store */
} kinds[STORE_KINDS] = {
    [STORE_SQLITE] = {sqlite_store_open, SQLITE_STORE_FILE},
};

struct store *store_open(const struct store_place *place, enum store_access access, struct error *error)
{
    assert(place->kind >= 0 && place->kind < STORE_KINDS);
    return kinds[place->kind].open(place->folder, access, error);
}

int store_open_check(const struct store_place *place)
{
    char path[4096];
    assert(place->kind >= 0 && place->kind < STORE_KINDS);
    if (snprintf(path, sizeof path, "%s/%s", place->folder, kinds[place->kind].file) >= (int)sizeof path)
        return ENAMETOOLONG;
    return access(path, R_OK) == 0 ? 0 : errno;
}
