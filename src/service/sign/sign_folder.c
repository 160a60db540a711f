/* SPDX-License-Identifier: Apache-2.0 */
/* The active keys of the folder (store/signing_keys.h), while root can still read them. */
#include "service/sign/sign_keys.h"
#include "store/signing_keys.h"

struct reading {
    struct sign_keys *keys;
    const struct signing_keys *folder;
};

/* A key whose state cannot be read may be the active one. */
static bool may_sign(const struct stored_key *key)
{
    return key->public_key[0] == '\0' || key_state_signs(&key->state);
}

static bool add_key(void *owner, const struct stored_key *key)
{
    struct reading *reading = owner;
    struct buffer pem = {0};
    struct error why = {0};
    if (!may_sign(key))
        return true;
    bool readable = key->fault[0] == '\0' && signing_keys_secret(reading->folder, key, &pem, &why);
    sign_keys_add(reading->keys, bytes_of_text(key->domain), bytes_of_text(key->selector), buffer_bytes(&pem),
                  readable                ? key->selector
                  : key->fault[0] != '\0' ? key->fault
                                          : why.text);
    buffer_wipe(&pem);
    return true;
}

bool sign_keys_read(struct sign_keys *keys, const char *data_dir, uid_t uid, gid_t gid, struct error *error)
{
    struct signing_keys folder;
    if (!signing_keys_open(&folder, data_dir, uid, gid, false, error))
        return false;
    struct reading reading = {keys, &folder};
    bool read = signing_keys_each(&folder, NULL, add_key, &reading, error);
    signing_keys_close(&folder);
    return read;
}
