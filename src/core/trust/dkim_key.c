/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trust/dkim_key.h"

#include <assert.h>

#include "core/smtp/base64.h"
#include "core/trust/tags.h"

bool dkim_base64(struct bytes text, struct arena *arena, struct bytes *octets)
{
    struct buffer compact = {0}, decoded = {0};
    tags_add_compact(&compact, text);
    while (compact.length % 4 != 0 && compact.length % 4 != 1)
        buffer_add_octet(&compact, '=');
    bool valid = compact.length > 0 && base64_decode(&decoded, buffer_bytes(&compact)) && decoded.length > 0;
    if (valid)
        *octets = arena_copy(arena, buffer_bytes(&decoded));
    buffer_free(&compact);
    buffer_free(&decoded);
    return valid;
}

/* ---- RSA keys in DER (X.690): just enough to measure them ---- */

enum der_tag { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_SEQUENCE = 0x30 };

/* Takes an element with this tag off the front; *value gets its content. False if it is another, or is not
 * whole. */
static bool der_take(struct bytes *rest, enum der_tag tag, struct bytes *value)
{
    if (rest->length < 2 || (unsigned char)rest->at[0] != tag)
        return false;
    size_t length = (unsigned char)rest->at[1], head = 2;
    if (length > 127) {
        size_t count = length - 128;
        if (count == 0 || count > 2 || rest->length < 2 + count)
            return false;
        length = 0;
        for (size_t i = 0; i < count; i++)
            length = length << 8 | (unsigned char)rest->at[2 + i];
        head += count;
    }
    if (length > rest->length - head)
        return false;
    *value = bytes_of(rest->at + head, length);
    *rest = bytes_from(*rest, head + length);
    return true;
}

/* Takes a positive number; returns its bits, 0 if there is none. */
static unsigned der_take_number(struct bytes *rest)
{
    struct bytes number;
    if (!der_take(rest, DER_INTEGER, &number) || number.length == 0 || (number.at[0] & 0x80) != 0)
        return 0;
    while (number.length > 0 && number.at[0] == 0)
        number = bytes_from(number, 1);
    if (number.length == 0)
        return 0;
    unsigned first = (unsigned char)number.at[0], bits = 8 * (unsigned)(number.length - 1);
    for (; first > 0; first >>= 1)
        bits++;
    return bits;
}

static const char RSA_OID[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"; /* rsaEncryption, RFC 8017 A.1
                                                                               */

/* Returns the RSAPublicKey inside of a SubjectPublicKeyInfo (RFC 5280 4.1); empty if it is another key. */
static struct bytes inside_key_info(struct bytes octets)
{
    struct bytes info, algorithm, key;
    struct bytes oid = bytes_of(RSA_OID, sizeof(RSA_OID) - 1);
    if (!der_take(&octets, DER_SEQUENCE, &info) || octets.length > 0 ||
        !der_take(&info, DER_SEQUENCE, &algorithm) || !der_take(&info, DER_BIT_STRING, &key) ||
        info.length > 0)
        return bytes_none();
    if (!bytes_equal(bytes_first(algorithm, oid.length), oid) || key.length == 0 || key.at[0] != 0)
        return bytes_none();
    return bytes_from(key, 1);
}

/* Reads an RSAPublicKey: true if it is one and nothing else. */
static bool rsa_measure(struct bytes octets, unsigned *bits, unsigned *exponent_bits)
{
    struct bytes numbers;
    if (!der_take(&octets, DER_SEQUENCE, &numbers) || octets.length > 0)
        return false;
    *bits = der_take_number(&numbers);
    *exponent_bits = der_take_number(&numbers);
    return *bits > 0 && *exponent_bits > 0 && numbers.length == 0;
}

static enum dkim_key_fault take_rsa(struct dkim_key *key, struct bytes octets)
{
    unsigned exponent_bits;
    if (!rsa_measure(octets, &key->bits, &exponent_bits)) {
        octets = inside_key_info(octets);
        if (octets.length == 0 || !rsa_measure(octets, &key->bits, &exponent_bits))
            return DKIM_KEY_NOT_A_KEY;
    }
    key->octets = octets;
    if (key->bits < DKIM_RSA_BITS_MIN)
        return DKIM_KEY_TOO_SHORT;
    bool too_long = key->bits > DKIM_RSA_BITS_MAX || exponent_bits > DKIM_RSA_EXPONENT_BITS_MAX;
    return too_long ? DKIM_KEY_TOO_LONG : DKIM_KEY_FINE;
}

static enum dkim_key_fault take_ed25519(struct dkim_key *key, struct bytes octets)
{
    key->octets = octets;
    key->bits = 8 * DKIM_ED25519_OCTETS;
    return octets.length == DKIM_ED25519_OCTETS ? DKIM_KEY_FINE : DKIM_KEY_NOT_A_KEY;
}

/* ---- records ---- */

/* True if the tag's list has one of two words, or the tag is missing. */
static bool list_has(const struct tags *tags, const char *name, const char *word, const char *other)
{
    const struct tag *tag = tags_find(tags, name);
    struct bytes item, rest = tag == NULL ? bytes_none() : tag->value;
    while (tags_next_item(&rest, ':', &item))
        if (bytes_is_nocase(item, word) || bytes_is_nocase(item, other))
            return true;
    return tag == NULL;
}

static bool flag_is_set(const struct tags *tags, const char *flag)
{
    return tags_find(tags, "t") != NULL && list_has(tags, "t", flag, flag);
}

static bool version_is_known(const struct tags *tags)
{
    const struct tag *version = tags_find(tags, "v");
    return version == NULL || (version == &tags->list[0] && bytes_is(version->value, "DKIM1"));
}

static bool algorithm_is(const struct tags *tags, enum dkim_algorithm algorithm)
{
    const struct tag *kind = tags_find(tags, "k");
    if (kind == NULL)
        return algorithm == DKIM_RSA_SHA256;
    return bytes_is_nocase(kind->value, algorithm == DKIM_RSA_SHA256 ? "rsa" : "ed25519");
}

static enum dkim_key_fault check_tags(const struct tags *tags, enum dkim_algorithm algorithm)
{
    if (!version_is_known(tags))
        return DKIM_KEY_VERSION;
    if (tags_find(tags, "p") == NULL)
        return DKIM_KEY_MALFORMED;
    if (!algorithm_is(tags, algorithm))
        return DKIM_KEY_ALGORITHM;
    if (!list_has(tags, "h", "sha256", "sha256"))
        return DKIM_KEY_HASH;
    if (!list_has(tags, "s", "email", "*"))
        return DKIM_KEY_SERVICE;
    return tags_value(tags, "p").length == 0 ? DKIM_KEY_REVOKED : DKIM_KEY_FINE;
}

enum dkim_key_fault dkim_key_parse(struct dkim_key *key, struct bytes record, enum dkim_algorithm algorithm,
                                   struct arena *arena)
{
    struct tags tags;
    struct bytes octets;
    assert(algorithm < DKIM_ALGORITHMS);
    *key = (struct dkim_key){.algorithm = algorithm};
    if (tags_parse(&tags, record, TAGS_STRICT) != TAGS_FINE)
        return DKIM_KEY_MALFORMED;
    enum dkim_key_fault fault = check_tags(&tags, algorithm);
    if (fault != DKIM_KEY_FINE)
        return fault;
    key->testing = flag_is_set(&tags, "y");
    key->strict = flag_is_set(&tags, "s");
    if (!dkim_base64(tags_value(&tags, "p"), arena, &octets))
        return DKIM_KEY_NOT_BASE64;
    return algorithm == DKIM_RSA_SHA256 ? take_rsa(key, octets) : take_ed25519(key, octets);
}

const char *dkim_key_fault_reason(enum dkim_key_fault fault)
{
    static const char *const reasons[DKIM_KEY_FAULTS] = {
        [DKIM_KEY_FINE] = "key is valid",
        [DKIM_KEY_MALFORMED] = "key record is malformed",
        [DKIM_KEY_VERSION] = "key record has an unknown version",
        [DKIM_KEY_ALGORITHM] = "key is of another algorithm",
        [DKIM_KEY_HASH] = "key does not allow sha256",
        [DKIM_KEY_SERVICE] = "key is not for mail",
        [DKIM_KEY_REVOKED] = "key revoked",
        [DKIM_KEY_NOT_BASE64] = "key is not base64",
        [DKIM_KEY_NOT_A_KEY] = "key is malformed",
        [DKIM_KEY_TOO_SHORT] = "key is shorter than 1024 bits",
        [DKIM_KEY_TOO_LONG] = "key is longer than 8192 bits",
    };
    assert(fault < DKIM_KEY_FAULTS);
    return reasons[fault];
}
