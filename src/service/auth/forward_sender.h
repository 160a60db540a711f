/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward_sender: the senders of forwarded mail (core/trust/srs.h) with the key of this server: makes them,
 * and finds out where a bounce to one of them goes.
 *
 * The key is DATA/accounts/srs.key, FORWARD_KEY_OCTETS random octets that are made at the first start.
 * Beside it srs.key.old, if it exists, is still accepted for bounces. Only auth reads them, before its seal
 * (docs/decisions/0036). Without a usable key forwarded mail keeps its sender, and bounces wait.
 */
#ifndef MAILBOAT_SERVICE_AUTH_FORWARD_SENDER_H
#define MAILBOAT_SERVICE_AUTH_FORWARD_SENDER_H

#include "base/buffer.h"
#include "base/error.h"

enum { FORWARD_KEY_OCTETS = 32 };

#define FORWARD_KEY_FILE "srs.key"
#define FORWARD_OLD_KEY_FILE "srs.key.old"

struct forward_key {
    bool usable;
    uint8_t octets[FORWARD_KEY_OCTETS];
};

struct forward_keys {
    struct forward_key current, old;
};

/* Reads the keys in DATA/accounts, and makes the current one if it is missing; as the owner of the folder.
 * False with a reason that names the file if one exists and cannot be used, or none can be made; the other
 * key can be usable then. */
bool forward_keys_open(struct forward_keys *keys, const char *folder, struct error *error);

/* Appends the sender that a message of `sender` leaves with, at `domain`, which is ours. False: it cannot be
 * rewritten, and stays as it is (srs_plan(), or there is no key). */
bool forward_sender_write(const struct forward_keys *keys, struct bytes sender, struct bytes domain,
                          uint64_t now_s, struct buffer *out);

enum forward_return {
    FORWARD_RETURN_OTHER,   /* the address has another form */
    FORWARD_RETURN_GOES_ON, /* `out` is where it goes */
    FORWARD_RETURN_FORGED,  /* its hash is not ours */
    FORWARD_RETURN_EXPIRED, /* more than SRS_DAYS_MAX days old, or made in the future */
    FORWARD_RETURN_NO_KEY,  /* it cannot be checked now */
};
/* Reads the local part of a bounce's recipient; appends the original sender if it is right. */
enum forward_return forward_sender_read(const struct forward_keys *keys, struct bytes local, uint64_t now_s,
                                        struct buffer *out);

#endif
