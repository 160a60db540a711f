/* SPDX-License-Identifier: Apache-2.0 */
/* signing_keys_change: makes keys and moves their states, one process at a time, so that a crash at any step
 * leaves a folder that can be read. */
#define _GNU_SOURCE
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/signature.h"
#include "store/signing_keys_file.h"

enum {
    DOMAIN_MODE = 0755,
    PUBLIC_MODE = 0644,
    SECRET_MODE = 0400,
    ATTEMPTS_MAX = 1000, /* at a free selector */
};

/* Locks all keys against other changes. */
static bool lock(const struct signing_keys *keys, struct error *error)
{
    uint64_t end_ms = clock_now_ms() + keys->lock_ms;
    const struct timespec wait = {.tv_nsec = 10 * 1000 * 1000};
    while (flock(keys->folder.descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set_errno(error, EX_OSERR, "cannot lock %s", keys->folder.path);
        if (clock_now_ms() >= end_ms)
            return error_set(error, EX_TEMPFAIL, "another mailboat is changing %s; try again later",
                             keys->folder.path);
        nanosleep(&wait, NULL);
    }
    return true;
}

static void unlock(const struct signing_keys *keys)
{
    flock(keys->folder.descriptor, LOCK_UN);
}

/* Says that other keys sign than before. */
static bool announce(const struct signing_keys *keys, struct error *error)
{
    struct buffer text = {0};
    buffer_add_format(&text, "%llu\n", (unsigned long long)clock_epoch_ms());
    bool done = folder_replace(&keys->folder, "version", buffer_bytes(&text), PUBLIC_MODE, error);
    buffer_free(&text);
    return done;
}

static bool write_public(const struct folder *folder, const struct stored_key *key, struct error *error)
{
    char name[SIGNING_KEYS_NAME_SIZE];
    struct buffer text = {0};
    signing_keys_name(name, key->selector, "json");
    signing_keys_write(key, &text);
    bool done = folder_replace(folder, name, buffer_bytes(&text), PUBLIC_MODE, error);
    buffer_free(&text);
    return done;
}

/* Removes what a crash has left: files that were not whole, private keys without their public half. */
static void clean(const struct folder *folder)
{
    int copy = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    char public_name[NAME_MAX + 6];
    for (const struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        struct bytes name = bytes_of_text(entry->d_name);
        bool left = bytes_ends_nocase(name, ".pem.new") || bytes_ends_nocase(name, ".json.new");
        if (!left && bytes_ends_nocase(name, ".pem")) {
            snprintf(public_name, sizeof public_name, "%.*s.json", (int)(name.length - 4), name.at);
            left = faccessat(folder->descriptor, public_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
                   errno == ENOENT;
        }
        if (left)
            unlinkat(folder->descriptor, entry->d_name, 0);
    }
    if (stream != NULL)
        closedir(stream);
    else if (copy >= 0)
        close(copy);
}

/* ---- new keys ---- */

static bool is_taken(const struct folder *folder, const char *selector)
{
    char name[SIGNING_KEYS_NAME_SIZE];
    signing_keys_name(name, selector, "json");
    return faccessat(folder->descriptor, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool choose_selector(const struct folder *folder, const char *base, uint64_t now_s,
                            struct stored_key *key, struct error *error)
{
    struct buffer selector = {0};
    bool found = false, fits = true;
    for (unsigned attempt = 1; attempt <= ATTEMPTS_MAX && !found && fits; attempt++) {
        buffer_clear(&selector);
        key_record_selector(bytes_of_text(base), key->algorithm, now_s, attempt, &selector);
        fits = signing_keys_selector_check(buffer_bytes(&selector), error);
        found = fits && !is_taken(folder, buffer_text(&selector));
    }
    if (found)
        snprintf(key->selector, sizeof key->selector, "%s", buffer_text(&selector));
    buffer_free(&selector);
    return found || (fits && error_set(error, EX_UNAVAILABLE, "no selector is free for %s", key->domain));
}

static bool give_number(const struct signing_keys *keys, const struct folder *folder, uint64_t now_s,
                        struct stored_key *key, struct error *error)
{
    size_t count;
    struct error reason = {0};
    uint32_t last = 0;
    struct stored_key *of = signing_keys_load(keys, folder, key->domain, &count, &reason);
    for (size_t i = 0; i < count; i++)
        last = of[i].state.number > last ? of[i].state.number : last;
    free(of);
    if (of == NULL && reason.text[0] != '\0') {
        *error = reason;
        return false;
    }
    if (count >= SIGNING_KEYS_OF_DOMAIN_MAX)
        return error_set(error, EX_UNAVAILABLE,
                         "%s has %d keys already, counting those that are retired; they go by themselves",
                         key->domain, (int)SIGNING_KEYS_OF_DOMAIN_MAX);
    key_state_start(&key->state, last + 1, now_s);
    return true;
}

static bool has_room(const struct signing_keys *keys, const char *domain, struct error *error)
{
    struct signing_keys_names domains;
    if (faccessat(keys->folder.descriptor, domain, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    if (!signing_keys_names(&keys->folder, signing_keys_is_domain, SIGNING_KEYS_DOMAINS_MAX, &domains, error))
        return false;
    bool room = domains.count < SIGNING_KEYS_DOMAINS_MAX;
    signing_keys_names_free(&domains);
    return room || error_set(error, EX_UNAVAILABLE, "%s has keys of %d domains, and takes no more",
                             keys->folder.path, (int)SIGNING_KEYS_DOMAINS_MAX);
}

static bool write_new(const struct signing_keys *keys, const struct folder *folder, struct bytes pem,
                      const struct stored_key *key, struct error *error)
{
    char name[SIGNING_KEYS_NAME_SIZE];
    signing_keys_name(name, key->selector, "pem");
    return folder_replace_for(folder, name, pem, SECRET_MODE, keys->uid, keys->gid, error) &&
           write_public(folder, key, error);
}

static bool add_locked(const struct signing_keys *keys, const char *base, struct bytes pem, uint64_t now_s,
                       struct stored_key *key, struct error *error)
{
    struct folder folder;
    if (!has_room(keys, key->domain, error) ||
        !folder_enter(&folder, &keys->folder, key->domain, DOMAIN_MODE, FOLDER_TRUSTED, error))
        return false;
    clean(&folder);
    bool done = folder_sync(&keys->folder, error) && give_number(keys, &folder, now_s, key, error) &&
                choose_selector(&folder, base, now_s, key, error) &&
                write_new(keys, &folder, pem, key, error);
    folder_close(&folder);
    return done;
}

bool signing_keys_add(struct signing_keys *keys, const char *domain, const char *base,
                      enum dkim_algorithm algorithm, uint64_t now_s, struct stored_key *made,
                      struct error *error)
{
    struct signing_key key;
    struct buffer pem = {0}, public_key = {0};
    assert(keys->folder.descriptor >= 0);
    memset(made, 0, sizeof *made);
    if (!signing_keys_domain_check(bytes_of_text(domain), error) ||
        (base[0] != '\0' && !signing_keys_selector_check(bytes_of_text(base), error)) ||
        !signature_key_make(&key, algorithm, SIGNING_KEYS_RSA_BITS, error))
        return false;
    buffer_reserve(&pem, SIGNING_KEYS_FILE_MAX);
    signature_key_write(&key, &pem);
    signature_key_publish(&key, &public_key);
    signature_key_free(&key);
    made->algorithm = algorithm;
    snprintf(made->domain, sizeof made->domain, "%s", domain);
    assert(public_key.length <= SIGNING_KEYS_PUBLIC_MAX);
    memcpy(made->public_key, buffer_text(&public_key), public_key.length + 1);
    bool done = lock(keys, error);
    if (done) {
        done = add_locked(keys, base, buffer_bytes(&pem), now_s, made, error);
        unlock(keys);
    }
    buffer_wipe(&pem);
    buffer_free(&public_key);
    return done;
}

/* ---- owners ---- */

struct adoption {
    const struct signing_keys *keys;
    signing_keys_former *is_former;
};

/* The file is in a folder of root's, so that no other user can have put it there. */
static void adopt_file(const struct adoption *adoption, const struct folder *folder, const char *selector)
{
    char name[SIGNING_KEYS_NAME_SIZE];
    struct stat facts;
    signing_keys_name(name, selector, "pem");
    int file = folder_file(folder->descriptor, name, O_RDONLY);
    if (file < 0)
        return;
    if (fstat(file, &facts) == 0 && facts.st_uid != adoption->keys->uid &&
        adoption->is_former(facts.st_uid) && fchown(file, adoption->keys->uid, adoption->keys->gid) == 0)
        fsync(file);
    close(file);
}

static bool adopt(void *owner, const struct stored_key *key)
{
    const struct adoption *adoption = owner;
    struct folder folder;
    if (key->fault[0] == '\0' || key->selector[0] == '\0' ||
        !folder_enter(&folder, &adoption->keys->folder, key->domain, 0, FOLDER_TRUSTED, NULL))
        return true;
    adopt_file(adoption, &folder, key->selector);
    folder_close(&folder);
    return true;
}

void signing_keys_adopt(struct signing_keys *keys, signing_keys_former *is_former)
{
    struct adoption adoption = {keys, is_former};
    if (geteuid() == 0 && keys->folder.descriptor >= 0)
        signing_keys_each(keys, NULL, adopt, &adoption, NULL);
}

/* ---- changes ---- */

/* A key before and after a change. */
struct key_change {
    struct key_state before;
    struct stored_key *key;
};

static bool remove_file(const struct folder *folder, const char *selector, const char *ending,
                        struct error *error)
{
    char name[SIGNING_KEYS_NAME_SIZE];
    signing_keys_name(name, selector, ending);
    return unlinkat(folder->descriptor, name, 0) == 0 || errno == ENOENT ||
           error_set_errno(error, EX_IOERR, "cannot remove %s/%s", folder->path, name);
}

static bool is_same_state(const struct key_state *a, const struct key_state *b)
{
    bool same = a->stage == b->stage && a->number == b->number && a->looked_s == b->looked_s &&
                a->shown_s == b->shown_s && a->resolver == b->resolver && a->servers == b->servers &&
                a->ttl_s == b->ttl_s;
    for (int i = 0; i < KEY_STAGES; i++)
        same = same && a->since_s[i] == b->since_s[i];
    return same;
}

/* The state is written before the private key is removed: a key without it must not be one that signs. */
static bool write_change(const struct folder *folder, const struct key_change *change, struct error *error)
{
    const struct stored_key *key = change->key;
    if (key->forget)
        return remove_file(folder, key->selector, "pem", error) && folder_sync(folder, error) &&
               remove_file(folder, key->selector, "json", error) && folder_sync(folder, error);
    if (!is_same_state(&change->before, &key->state) && !write_public(folder, key, error))
        return false;
    return key_state_has_secret(&key->state) ||
           (remove_file(folder, key->selector, "pem", error) && folder_sync(folder, error));
}

/* Keys that begin to sign are written first: a crash must not leave a domain without one. */
static bool write_changes(const struct signing_keys *keys, const struct folder *folder,
                          const struct key_change *changes, size_t count, struct error *error)
{
    bool done = true, announced = false;
    for (int late = 0; late < 2; late++)
        for (size_t i = 0; i < count && done; i++) {
            bool signs = key_state_signs(&changes[i].key->state) && !changes[i].key->forget;
            announced = announced || signs != key_state_signs(&changes[i].before);
            if (signs == (late == 0))
                done = write_change(folder, &changes[i], error);
        }
    return announced ? announce(keys, done ? error : NULL) && done : done;
}

/* True if the .json could be read. */
static bool is_known(const struct stored_key *key)
{
    return key->public_key[0] != '\0';
}

static bool change_locked(const struct signing_keys *keys, const char *domain, signing_keys_changer *change,
                          void *owner, struct error *error)
{
    struct key_change changes[SIGNING_KEYS_OF_DOMAIN_MAX];
    struct folder folder;
    struct error reason = {0};
    size_t count, known = 0;
    if (!folder_enter(&folder, &keys->folder, domain, 0, FOLDER_TRUSTED, error))
        return false;
    clean(&folder);
    struct stored_key *of = signing_keys_load(keys, &folder, domain, &count, &reason);
    for (size_t i = 0; i < count; i++)
        if (is_known(&of[i])) {
            if (known != i)
                of[known] = of[i];
            changes[known] = (struct key_change){of[known].state, &of[known]};
            known++;
        }
    bool done = of != NULL || reason.text[0] == '\0';
    if (!done && error != NULL)
        *error = reason;
    if (known > 0) {
        change(owner, of, known);
        done = write_changes(keys, &folder, changes, known, error);
    }
    free(of);
    folder_close(&folder);
    return done;
}

bool signing_keys_change(struct signing_keys *keys, const char *domain, signing_keys_changer *change,
                         void *owner, struct error *error)
{
    if (!signing_keys_domain_check(bytes_of_text(domain), error))
        return false;
    if (keys->folder.descriptor < 0)
        return error_set(error, EX_NOINPUT, "%s has no key; make one: mailboat dkim add %s", domain, domain);
    if (!lock(keys, error))
        return false;
    bool done = change_locked(keys, domain, change, owner, error);
    unlock(keys);
    return done;
}
