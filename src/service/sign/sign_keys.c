/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sign/sign_keys.h"

#include "io/log.h"

static bool is_usable(const struct sign_key *key)
{
    return key->key.key != NULL;
}

void sign_keys_start(struct sign_keys *keys, uint64_t seed)
{
    *keys = (struct sign_keys){0};
    map_start(&keys->domains, seed);
}

void sign_keys_free(struct sign_keys *keys)
{
    size_t at = 0;
    struct bytes domain;
    void *value;
    while (map_next(&keys->domains, &at, &domain, &value))
        for (struct sign_key *key = value; key != NULL; key = key->next)
            if (is_usable(key))
                signature_key_free(&key->key);
    map_free(&keys->domains);
    arena_clear(&keys->arena);
}

/* Logs a key that was to sign. */
static void log_unusable(struct bytes domain, struct bytes selector, const char *why)
{
    log_event(LOG_EVENT_ERROR, "dkim_key_unusable", LOG_BYTES("domain", domain),
              LOG_BYTES("selector", selector), LOG_TEXT("reason", why),
              LOG_TEXT("hint", "mail of the domain waits until a key can be used: repair it and reload, or "
                               "mailboat dkim retire"));
}

/* Returns the key that the new one replaces: of its algorithm, or one that is not usable; else NULL. */
static struct sign_key *replaced_by(struct sign_key *first, const struct signing_key *key)
{
    for (; first != NULL; first = first->next)
        if (!is_usable(first) || first->key.algorithm == key->algorithm)
            return first;
    return NULL;
}

void sign_keys_add(struct sign_keys *keys, struct bytes domain, struct bytes selector, struct bytes pem,
                   const char *why)
{
    struct error error = {0};
    struct signing_key key = {0};
    struct sign_key *first = map_get(&keys->domains, domain);
    bool usable = pem.length > 0 && signature_key_read(&key, pem, why, &error);
    if (!usable)
        log_unusable(domain, selector, pem.length > 0 ? error.text : why);
    if (!usable && first != NULL) /* the others sign */
        return;
    struct sign_key *place = replaced_by(first, &key);
    if (place == NULL) {
        place = ARENA_NEW(&keys->arena, struct sign_key);
        place->domain = arena_copy(&keys->arena, domain);
        place->next = first;
        map_put(&keys->domains, place->domain, place);
    }
    if (is_usable(place))
        signature_key_free(&place->key);
    place->selector = arena_copy(&keys->arena, selector);
    place->key = key;
}

const struct sign_key *sign_keys_find(const struct sign_keys *keys, struct bytes domain, bool takes_parent)
{
    for (;;) {
        const struct sign_key *key = map_get(&keys->domains, domain);
        size_t dot = bytes_find(domain, '.');
        if (key != NULL || !takes_parent || dot == SIZE_MAX)
            return key;
        domain = bytes_from(domain, dot + 1);
    }
}
