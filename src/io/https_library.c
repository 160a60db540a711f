/* SPDX-License-Identifier: Apache-2.0 */
#include "io/https_library.h"

#include <dlfcn.h>
#include <sysexits.h>

#include "base/bytes.h"

/* Of the interface that Debian 12 and later have; packaging/make-deb names the package that it is in. */
#define LIBRARY_FILE "libcurl.so.4"

static struct https_library library;

/* Where the address of each function goes; dlsym() knows no types. */
static const struct {
    const char *name;
    void *place;
} functions[] = {
    {"curl_global_init", &library.global_init},       {"curl_easy_init", &library.easy_init},
    {"curl_easy_setopt", &library.easy_setopt},       {"curl_easy_perform", &library.easy_perform},
    {"curl_easy_getinfo", &library.easy_getinfo},     {"curl_easy_strerror", &library.easy_strerror},
    {"curl_easy_cleanup", &library.easy_cleanup},     {"curl_slist_append", &library.slist_append},
    {"curl_slist_free_all", &library.slist_free_all},
};
_Static_assert(ARRAY_LENGTH(functions) * sizeof(void *) == sizeof library, "each function has its name");

/* All symbols are bound now (RTLD_NOW): later, a sandbox may forbid it. */
static bool load(struct error *error)
{
    void *handle = dlopen(LIBRARY_FILE, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return error_set(error, EX_UNAVAILABLE, "HTTPS needs libcurl; install Debian's package libcurl4: %s",
                         dlerror());
    for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
        void *address = dlsym(handle, functions[i].name);
        if (address == NULL)
            return error_set(error, EX_UNAVAILABLE, "%s has no function %s; install a newer libcurl4",
                             LIBRARY_FILE, functions[i].name);
        memcpy(functions[i].place, &address, sizeof address);
    }
    return true;
}

const struct https_library *https_library(struct error *error)
{
    static bool ready;
    if (ready)
        return &library;
    if (!load(error))
        return NULL;
    if (library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        error_set(error, EX_OSERR, "cannot start HTTPS");
        return NULL;
    }
    ready = true;
    return &library;
}
