/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature_digest: reads a message in the form in which a peer will get it: its header, and the SHA-256 of
 * its body in relaxed form (RFC 6376 3.4.4, 3.7). Memory is bounded by the header's limit and one run.
 *
 *     signature_digest_start(&digest, &message, form);
 *     while ((stage = signature_digest_run(&digest, octets_max)) < DIGEST_DONE) …
 *     signature_digest_free(&digest);
 */
#ifndef MAILBOAT_SERVICE_RELAY_SIGNATURE_DIGEST_H
#define MAILBOAT_SERVICE_RELAY_SIGNATURE_DIGEST_H

#include "base/arena.h"
#include "core/smtp/envelope.h"
#include "service/relay/signatures.h"

enum signature_digest_stage {
    DIGEST_HEADER,     /* reads the header */
    DIGEST_BODY,       /* the header is complete */
    DIGEST_DONE,       /* so is the digest */
    DIGEST_TOO_LARGE,  /* the header is longer than FIELD_INDEX_OCTETS_MAX */
    DIGEST_UNREADABLE, /* the file cannot be read */
};

struct signature_digest {
    enum signature_digest_stage stage;
    struct arena arena;
    struct signature_message message; /* of its own */
    uint64_t at;                      /* octets read */
    struct formed_content formed;
    struct buffer header;  /* its fields, without the empty line */
    struct buffer results; /* of a message that gets an ARC set: what was found when it came */
    struct buffer out;     /* formed octets of one run */
    struct body_hashes hashes;
    uint8_t digest[DKIM_DIGEST];
};

/* Copies the message, and duplicates its file. */
void signature_digest_start(struct signature_digest *digest, const struct signature_message *message,
                            struct content_form form);
/* Reads on: until the header is complete, at least one run and up to about `octets_max`, or the end. */
enum signature_digest_stage signature_digest_run(struct signature_digest *digest, uint64_t octets_max);
/* Frees all but the header, the results and the digest, and closes the file. */
void signature_digest_let_go(struct signature_digest *digest);
void signature_digest_free(struct signature_digest *digest);

/* Writes the domain of the only author (From) in the form of DNS. False if there is none that can be
 * aligned with: *why is a sentence. */
bool signature_digest_domain(struct bytes header, char domain[DOMAIN_MAX + 1], const char **why);
/* Writes the name of a host or domain in the form of DNS, in lower case; false if it is not one. */
bool signature_digest_name(struct bytes name, char domain[DOMAIN_MAX + 1]);

#endif
