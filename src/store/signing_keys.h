/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing_keys: the keys that mail is signed with, on disk (DKIM, RFC 6376).
 *
 * DATA/keys/                       0711  the starting user
 *   DATA/keys/DOMAIN/              0755  the starting user
 *     SELECTOR.pem                 0400  the user of the process `sign`: the private key
 *     SELECTOR.json                0644  the public key, its state and its times (core/trust/key_state.h)
 *   DATA/keys/version              0644  replaced whenever other keys sign than before
 *
 * Only the starting user writes here, so that nothing that signs can change what it signs with; the process
 * `sign` reads its keys before it gives up its privileges. All names are checked before they become a path.
 * Each file is replaced as a whole and synced. A .pem without its .json is a key that nobody has seen yet: a
 * crash came between the two, and it goes with the next change. A removed key has no .pem any more.
 *
 *     signing_keys_open(&keys, data_dir, uid, gid, false, error)
 *     signing_keys_each(&keys, NULL, each, owner, error)      key_state_signs(&key->state)? then
 *     signing_keys_secret(&keys, key, &pem, error)
 *     signing_keys_close(&keys)
 *
 * Of two active keys of one domain and algorithm, which a crash can leave for an hour, the one with the
 * higher state.number signs.
 */
#ifndef MAILBOAT_STORE_SIGNING_KEYS_H
#define MAILBOAT_STORE_SIGNING_KEYS_H

#include "core/dns/host.h"
#include "core/trust/key_state.h"
#include "io/folder.h"

enum signing_keys_limit {
    SIGNING_KEYS_DOMAINS_MAX = 20000,
    SIGNING_KEYS_OF_DOMAIN_MAX = 16, /* of all stages */
    SIGNING_KEYS_FILE_MAX = 16 * 1024,
    SIGNING_KEYS_PUBLIC_MAX = 2048, /* octets of base64: RSA-8192 has 1,416 */
    SIGNING_KEYS_RSA_BITS = 2048,   /* of new keys */
    SIGNING_KEYS_LOCK_MS = 5000,
};

#define SIGNING_KEYS_FOLDER "keys"
#define SIGNING_KEYS_VERSION "keys/version"

struct signing_keys {
    struct folder folder; /* descriptor -1: there is none, and no key */
    uid_t uid;            /* owner of the private keys */
    gid_t gid;
    uint32_t lock_ms; /* how long another change is waited for */
};

struct stored_key {
    char domain[DOMAIN_NAME_MAX + 1], selector[KEY_SELECTOR_MAX + 1];
    enum dkim_algorithm algorithm;
    char public_key[SIGNING_KEYS_PUBLIC_MAX + 1];
    struct key_state state;
    bool forget; /* set by a change: its files are removed */
    /* why the key cannot be used, and the fix: "" if it can. Then it must not sign; where its .json cannot be
     * read, all of the above but the names is empty. */
    char fault[ERROR_TEXT_MAX];
};

/* Opens DATA/keys. `make`: creates it, for changes. `uid`, `gid`: the user of `sign`, whom the private keys
 * belong to; without root the own. False with a reason if another user could change it. */
bool signing_keys_open(struct signing_keys *keys, const char *data_dir, uid_t uid, gid_t gid, bool make,
                       struct error *error);
void signing_keys_close(struct signing_keys *keys);

/* Returns the key as a record of DNS; its texts are those of `key`. */
struct key_record signing_keys_record(const struct stored_key *key);

/* True if the text can be the domain of a key: A-labels in lower case, and at least two of them. */
bool signing_keys_domain_check(struct bytes domain, struct error *error);
/* True if it can be a selector: a host name in lower case of at most KEY_SELECTOR_MAX octets. */
bool signing_keys_selector_check(struct bytes selector, struct error *error);

/* Calls back for each key, ordered by domain and number; `domain`: only its keys; NULL: all. Returning
 * false ends it. A key with a fault does not stop the others. False if the folder cannot be read. */
typedef bool signing_keys_visitor(void *owner, const struct stored_key *key);
bool signing_keys_each(const struct signing_keys *keys, const char *domain, signing_keys_visitor *each,
                       void *owner, struct error *error);
/* Appends the private key in PEM; buffer_wipe() it. False with a reason, which a fault of the key has, too:
 * the file is missing, or another user can read or replace it. */
bool signing_keys_secret(const struct signing_keys *keys, const struct stored_key *key, struct buffer *pem,
                         struct error *error);

/* Makes a new key of a domain, prepared; *made is the result. `base`: its selector; a number is appended
 * while that is taken; "" : one of this server's (key_record_selector). EX_UNAVAILABLE at a limit. It costs
 * about 0.1 s. */
bool signing_keys_add(struct signing_keys *keys, const char *domain, const char *base,
                      enum dkim_algorithm algorithm, uint64_t now_s, struct stored_key *made,
                      struct error *error);

/* Changes the keys of a domain in one step that no other process interrupts: calls back with all of them
 * that have no fault in their .json, ordered by number, and writes those whose state is another afterwards.
 */
typedef void signing_keys_changer(void *owner, struct stored_key *of, size_t count);
bool signing_keys_change(struct signing_keys *keys, const char *domain, signing_keys_changer *change,
                         void *owner, struct error *error);

/* Gives private keys of a former user of `sign` to the present one, where `is_former` says so; root only. A
 * key that cannot be given keeps its fault. */
typedef bool signing_keys_former(uid_t uid);
void signing_keys_adopt(struct signing_keys *keys, signing_keys_former *is_former);

/* Parses a .json into all fields but the names; false with a reason. */
bool signing_keys_parse(struct stored_key *key, struct bytes text, struct error *error);
/* Appends it. */
void signing_keys_write(const struct stored_key *key, struct buffer *out);

struct key_signer {
    bool signs; /* an active key; one that cannot be used counts: mail waits and does not leave unsigned */
    char waiting[DOMAIN_NAME_MAX + 1]; /* domain whose key does not sign yet; "": none */
};
/* Looks for a key of the domain, and with `above` else of one above it, as the process that signs does for
 * what this server writes. `signs` also if the keys cannot be read. */
struct key_signer signing_keys_signer(const struct signing_keys *keys, struct bytes domain, bool above);

#endif
