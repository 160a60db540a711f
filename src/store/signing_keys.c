/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/signing_keys_file.h"

enum { KEYS_MODE = 0711 }; /* any user may read the public half of a key whose domain he knows */

/* ---- names ---- */

static bool has_capitals(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if (ascii_lower(text.at[i]) != text.at[i])
            return true;
    return false;
}

bool signing_keys_domain_check(struct bytes domain, struct error *error)
{
    const char *fault = host_fault(domain, false);
    if (fault == NULL && host_parse(domain, false) != HOST_NAME)
        fault = "it is an address";
    if (fault == NULL && bytes_find(domain, '.') == SIZE_MAX)
        fault = "it has only one label, and nobody can publish a record there";
    if (fault == NULL && has_capitals(domain))
        fault = "it has capital letters";
    return fault == NULL || error_set(error, EX_DATAERR, "'%.*s' cannot have a signing key: %s",
                                      BYTES_ARG(bytes_first(domain, DOMAIN_NAME_MAX)), fault);
}

bool signing_keys_selector_check(struct bytes selector, struct error *error)
{
    const char *fault = host_fault(selector, false);
    if (fault == NULL && selector.length > KEY_SELECTOR_MAX)
        fault = "it is longer than 63 bytes";
    if (fault == NULL && has_capitals(selector))
        fault = "it has capital letters";
    return fault == NULL || error_set(error, EX_DATAERR, "'%.*s' is not a selector: %s",
                                      BYTES_ARG(bytes_first(selector, DOMAIN_NAME_MAX)), fault);
}

struct key_record signing_keys_record(const struct stored_key *key)
{
    return (struct key_record){bytes_of_text(key->domain), bytes_of_text(key->selector), key->algorithm,
                               bytes_of_text(key->public_key)};
}

/* ---- the folder ---- */

static bool open_folder(struct signing_keys *keys, const struct folder *data, bool make, struct error *error)
{
    struct stat facts;
    if (!make && faccessat(data->descriptor, SIGNING_KEYS_FOLDER, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno == ENOENT)
        return true;
    if (!folder_enter(&keys->folder, data, SIGNING_KEYS_FOLDER, make ? KEYS_MODE : 0, FOLDER_TRUSTED, error))
        return false;
    /* an earlier release made it 0700 */
    if (make && fstat(keys->folder.descriptor, &facts) == 0 && facts.st_uid == geteuid() &&
        (facts.st_mode & KEYS_MODE) != KEYS_MODE)
        fchmod(keys->folder.descriptor, (facts.st_mode & 07777) | KEYS_MODE);
    return true;
}

bool signing_keys_open(struct signing_keys *keys, const char *data_dir, uid_t uid, gid_t gid, bool make,
                       struct error *error)
{
    struct folder data;
    *keys = (struct signing_keys){
        .folder = {.descriptor = -1}, .uid = uid, .gid = gid, .lock_ms = SIGNING_KEYS_LOCK_MS};
    struct error why = {0};
    if (!folder_open(&data, data_dir, 0, FOLDER_TRUSTED, &why)) {
        if (error != NULL)
            *error = why;
        return !make && why.number == ENOENT; /* nothing is there yet */
    }
    bool opened = open_folder(keys, &data, make, error);
    folder_close(&data);
    return opened;
}

void signing_keys_close(struct signing_keys *keys)
{
    folder_close(&keys->folder);
}

/* ---- lists of names ---- */

void signing_keys_names_free(struct signing_keys_names *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct signing_keys_names){0};
}

static void list_add(struct signing_keys_names *list, struct bytes name)
{
    list->names = memory_resize(list->names, (list->count + 1) * sizeof list->names[0]);
    list->names[list->count++] = strndup(name.at, name.length);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool signing_keys_is_domain(struct bytes *name)
{
    return signing_keys_domain_check(*name, NULL);
}

/* Takes the ending off. */
static bool is_public_file(struct bytes *name)
{
    const struct bytes ending = BYTES(".json");
    if (name->length <= ending.length ||
        !bytes_equal(bytes_from(*name, name->length - ending.length), ending))
        return false;
    *name = bytes_first(*name, name->length - ending.length);
    return signing_keys_selector_check(*name, NULL);
}

/* Lists the names that pass the filter, sorted. */
bool signing_keys_names(const struct folder *folder, signing_keys_filter *filter, size_t max,
                        struct signing_keys_names *list, struct error *error)
{
    int copy = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    *list = (struct signing_keys_names){0};
    if (stream == NULL) {
        error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_NOINPUT, "cannot read %s", folder->path);
        if (copy >= 0)
            close(copy);
        return false;
    }
    for (const struct dirent *entry; list->count < max && (entry = readdir(stream)) != NULL;) {
        struct bytes name = bytes_of_text(entry->d_name);
        if (filter(&name))
            list_add(list, name);
    }
    closedir(stream);
    if (list->count > 0)
        qsort(list->names, list->count, sizeof list->names[0], by_name);
    return true;
}

/* ---- reading ---- */

void signing_keys_name(char file[SIGNING_KEYS_NAME_SIZE], const char *selector, const char *ending)
{
    int length = snprintf(file, SIGNING_KEYS_NAME_SIZE, "%s.%s", selector, ending);
    assert(length > 0 && length < SIGNING_KEYS_NAME_SIZE);
}

static bool read_file(const struct folder *folder, const char *name, struct buffer *out, struct error *error)
{
    struct stat facts;
    int file = folder_file(folder->descriptor, name, O_RDONLY);
    if (file < 0)
        return error_set_errno(error, errno == EACCES ? EX_NOPERM : EX_NOINPUT, "cannot read %s/%s",
                               folder->path, name);
    bool fine = fstat(file, &facts) == 0 && facts.st_size <= SIGNING_KEYS_FILE_MAX;
    size_t room = fine ? (size_t)facts.st_size + 1 : 0;
    char *at = buffer_reserve(out, room); /* once: blocks that it outgrew would not be wiped */
    ssize_t length = fine ? pread(file, at, room, 0) : -1;
    close(file);
    if (length < 0 || (size_t)length >= room)
        return error_set(error, EX_DATAERR, "%s/%s has more than %d bytes, or changes while it is read",
                         folder->path, name, (int)SIGNING_KEYS_FILE_MAX);
    buffer_written(out, (size_t)length);
    return true;
}

/* False with the reason if another user can read or replace the private key. */
static bool secret_is_safe(const struct signing_keys *keys, const struct folder *folder, const char *name,
                           const struct stat *facts, struct error *error)
{
    char owner[100];
    if (!S_ISREG(facts->st_mode) || facts->st_nlink > 1)
        return error_set(error, EX_NOPERM,
                         "%s/%s is a link or has a second name, so that another user could replace it; move "
                         "it away and run mailboat dkim rotate",
                         folder->path, name);
    if (facts->st_uid != keys->uid) {
        snprintf(owner, sizeof owner, "%s", folder_owner_name(facts->st_uid));
        return error_set(
            error, EX_NOPERM, "%s/%s belongs to user %s, not to %s, and does not sign; chown %u %s/%s",
            folder->path, name, owner, folder_owner_name(keys->uid), (unsigned)keys->uid, folder->path, name);
    }
    if ((facts->st_mode & 077) != 0)
        return error_set(error, EX_NOPERM,
                         "%s/%s can be read by other users, and does not sign; chmod 400 %s/%s, and if "
                         "others have used this machine, run mailboat dkim rotate",
                         folder->path, name, folder->path, name);
    return true;
}

static bool check_secret(const struct signing_keys *keys, const struct folder *folder,
                         const struct stored_key *key, struct error *error)
{
    char name[SIGNING_KEYS_NAME_SIZE];
    struct stat facts;
    if (!key_state_has_secret(&key->state))
        return true;
    signing_keys_name(name, key->selector, "pem");
    if (fstatat(folder->descriptor, name, &facts, AT_SYMLINK_NOFOLLOW) == 0)
        return secret_is_safe(keys, folder, name, &facts, error);
    return error_set_errno(error, EX_NOINPUT,
                           "cannot look at the private key %s/%s; restore it, or run mailboat dkim rotate %s",
                           folder->path, name, key->domain);
}

/* Reads one key; what is wrong with it is its fault. */
static void load_key(const struct signing_keys *keys, const struct folder *folder, const char *domain,
                     const char *selector, struct stored_key *key)
{
    char name[SIGNING_KEYS_NAME_SIZE];
    struct buffer text = {0};
    struct error error = {0};
    memset(key, 0, sizeof *key);
    snprintf(key->domain, sizeof key->domain, "%s", domain);
    snprintf(key->selector, sizeof key->selector, "%s", selector);
    signing_keys_name(name, selector, "json");
    bool read = read_file(folder, name, &text, &error);
    if (read && !signing_keys_parse(key, buffer_bytes(&text), &error))
        error_set(&error, EX_DATAERR,
                  "%s/%s is not the state of a key; restore the file, or remove it and run mailboat dkim "
                  "rotate %s",
                  folder->path, name, domain);
    else if (read)
        check_secret(keys, folder, key, &error);
    memcpy(key->fault, error.text, sizeof key->fault);
    buffer_free(&text);
}

static int by_number(const void *a, const void *b)
{
    const struct stored_key *first = a, *second = b;
    if (first->state.number != second->state.number)
        return first->state.number < second->state.number ? -1 : 1;
    return strcmp(first->selector, second->selector);
}

/* Loads all keys of a domain, ordered; the caller frees them. NULL if there are none. */
struct stored_key *signing_keys_load(const struct signing_keys *keys, const struct folder *folder,
                                     const char *domain, size_t *count, struct error *error)
{
    struct signing_keys_names list;
    *count = 0;
    if (!signing_keys_names(folder, is_public_file, SIGNING_KEYS_OF_DOMAIN_MAX, &list, error) ||
        list.count == 0)
        return NULL;
    struct stored_key *of = memory_new(list.count * sizeof *of);
    for (size_t i = 0; i < list.count; i++)
        load_key(keys, folder, domain, list.names[i], &of[i]);
    *count = list.count;
    signing_keys_names_free(&list);
    qsort(of, *count, sizeof *of, by_number);
    return of;
}

/* A domain whose folder cannot be read: one key without a selector, with the fault. */
static bool visit_fault(const char *domain, const struct error *error, signing_keys_visitor *each,
                        void *owner)
{
    struct stored_key key = {0};
    snprintf(key.domain, sizeof key.domain, "%s", domain);
    memcpy(key.fault, error->text, sizeof key.fault);
    return each(owner, &key);
}

static bool visit_domain(const struct signing_keys *keys, const char *domain, signing_keys_visitor *each,
                         void *owner)
{
    struct folder folder;
    struct error error = {0};
    size_t count = 0;
    bool more = true;
    if (!folder_enter(&folder, &keys->folder, domain, 0, FOLDER_TRUSTED, &error))
        return visit_fault(domain, &error, each, owner);
    struct stored_key *of = signing_keys_load(keys, &folder, domain, &count, &error);
    if (of == NULL && error.text[0] != '\0')
        more = visit_fault(domain, &error, each, owner);
    for (size_t i = 0; i < count && more; i++)
        more = each(owner, &of[i]);
    free(of);
    folder_close(&folder);
    return more;
}

bool signing_keys_each(const struct signing_keys *keys, const char *domain, signing_keys_visitor *each,
                       void *owner, struct error *error)
{
    struct signing_keys_names domains;
    if (domain != NULL && !signing_keys_domain_check(bytes_of_text(domain), error))
        return false;
    if (keys->folder.descriptor < 0)
        return true;
    if (domain != NULL) {
        if (faccessat(keys->folder.descriptor, domain, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            visit_domain(keys, domain, each, owner);
        return true;
    }
    if (!signing_keys_names(&keys->folder, signing_keys_is_domain, SIGNING_KEYS_DOMAINS_MAX, &domains, error))
        return false;
    bool more = true;
    for (size_t i = 0; i < domains.count && more; i++)
        more = visit_domain(keys, domains.names[i], each, owner);
    signing_keys_names_free(&domains);
    return true;
}

bool signing_keys_secret(const struct signing_keys *keys, const struct stored_key *key, struct buffer *pem,
                         struct error *error)
{
    struct folder folder;
    char name[SIGNING_KEYS_NAME_SIZE];
    if (!signing_keys_domain_check(bytes_of_text(key->domain), error) ||
        !signing_keys_selector_check(bytes_of_text(key->selector), error) ||
        !folder_enter(&folder, &keys->folder, key->domain, 0, FOLDER_TRUSTED, error))
        return false;
    signing_keys_name(name, key->selector, "pem");
    bool done = check_secret(keys, &folder, key, error) && read_file(&folder, name, pem, error);
    folder_close(&folder);
    return done;
}

static bool note_signer(void *owner, const struct stored_key *key)
{
    struct key_signer *signer = owner;
    bool waits = key->state.stage == KEY_PREPARED || key->state.stage == KEY_PUBLISHED;
    signer->signs |= key->public_key[0] == '\0' || key_state_signs(&key->state);
    if (waits && signer->waiting[0] == '\0')
        snprintf(signer->waiting, sizeof signer->waiting, "%s", key->domain);
    return true;
}

struct key_signer signing_keys_signer(const struct signing_keys *keys, struct bytes domain, bool above)
{
    struct key_signer signer = {0};
    struct error error = {0};
    char name[DOMAIN_NAME_MAX + 1];
    while (!signer.signs && signing_keys_domain_check(domain, NULL)) {
        snprintf(name, sizeof name, "%.*s", BYTES_ARG(domain));
        if (!signing_keys_each(keys, name, note_signer, &signer, &error))
            signer.signs = true; /* not known */
        if (!above)
            break;
        domain = bytes_from(domain, bytes_find(domain, '.') + 1);
    }
    return signer;
}
