/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/forward_sender.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/smtp/address.h"
#include "core/trust/srs.h"
#include "io/folder.h"
#include "io/random.h"

/* ---- the keys ---- */

/* False if it exists and cannot be used. *missing: there is none. */
static bool read_key(const struct folder *folder, const char *name, struct forward_key *key, bool *missing,
                     struct error *error)
{
    uint8_t octets[FORWARD_KEY_OCTETS + 1];
    int file = folder_file(folder->descriptor, name, O_RDONLY);
    *missing = file < 0 && errno == ENOENT;
    if (file < 0)
        return *missing || error_set_errno(error, EX_NOPERM, "cannot read %s/%s", folder->path, name);
    ssize_t count = read(file, octets, sizeof octets);
    int number = errno;
    close(file);
    errno = number;
    if (count < 0)
        return error_set_errno(error, EX_IOERR, "cannot read %s/%s", folder->path, name);
    key->usable = count == FORWARD_KEY_OCTETS;
    memcpy(key->octets, octets, FORWARD_KEY_OCTETS);
    explicit_bzero(octets, sizeof octets);
    return key->usable || error_set(error, EX_DATAERR, "%s/%s does not have %d bytes", folder->path, name,
                                    FORWARD_KEY_OCTETS);
}

static bool make_key(const struct folder *folder, struct forward_key *key, struct error *error)
{
    random_fill(key->octets, sizeof key->octets);
    key->usable = folder_replace(folder, FORWARD_KEY_FILE,
                                 bytes_of((const char *)key->octets, sizeof key->octets), 0600, error);
    return key->usable;
}

bool forward_keys_open(struct forward_keys *keys, const char *path, struct error *error)
{
    struct folder folder;
    bool missing, old_missing;
    *keys = (struct forward_keys){0};
    if (!folder_open(&folder, path, 0, FOLDER_TRUSTED, error))
        return false;
    bool fine = read_key(&folder, FORWARD_KEY_FILE, &keys->current, &missing, error);
    if (missing)
        fine = make_key(&folder, &keys->current, error);
    fine = read_key(&folder, FORWARD_OLD_KEY_FILE, &keys->old, &old_missing, fine ? error : NULL) && fine;
    folder_close(&folder);
    return fine;
}

static void hash(const struct forward_key *key, const struct srs_signed *text, uint8_t mac[SRS_MAC_OCTETS])
{
    unsigned char whole[EVP_MAX_MD_SIZE];
    const void *done = HMAC(EVP_sha256(), key->octets, FORWARD_KEY_OCTETS, (const unsigned char *)text->at,
                            text->length, whole, NULL);
    assert(done != NULL);
    memcpy(mac, whole, SRS_MAC_OCTETS);
}

/* ---- there ---- */

bool forward_sender_write(const struct forward_keys *keys, struct bytes sender, struct bytes domain,
                          uint64_t now_s, struct buffer *out)
{
    struct srs_plan plan;
    uint8_t mac[SRS_MAC_OCTETS];
    if (!keys->current.usable || !srs_plan(&plan, sender, now_s))
        return false;
    hash(&keys->current, &plan.signed_text, mac);
    srs_write(&plan, mac, domain, out);
    return true;
}

/* ---- and back ---- */

/* A hash that is right names an address that a server gave us in MAIL; a wrong one can name anything. */
static enum srs_result open_with(const struct forward_key *key, const struct srs_reading *reading,
                                 uint64_t now_s, struct buffer *out)
{
    uint8_t mac[SRS_MAC_OCTETS];
    struct address address;
    if (!key->usable)
        return SRS_FORGED;
    hash(key, &reading->signed_text, mac);
    enum srs_result result = srs_open(reading, mac, now_s, out);
    if (result == SRS_OPENED && !address_parse(buffer_bytes(out), true, &address))
        result = SRS_FORGED;
    return result;
}

enum forward_return forward_sender_read(const struct forward_keys *keys, struct bytes local, uint64_t now_s,
                                        struct buffer *out)
{
    struct srs_reading reading;
    if (!srs_read(&reading, local))
        return FORWARD_RETURN_OTHER;
    buffer_clear(out);
    enum srs_result result = open_with(&keys->current, &reading, now_s, out);
    if (result == SRS_FORGED)
        result = open_with(&keys->old, &reading, now_s, out);
    switch (result) {
    case SRS_OPENED: return FORWARD_RETURN_GOES_ON;
    case SRS_EXPIRED: return FORWARD_RETURN_EXPIRED;
    case SRS_FORGED: break;
    }
    return keys->current.usable ? FORWARD_RETURN_FORGED : FORWARD_RETURN_NO_KEY;
}
