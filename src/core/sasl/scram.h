/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram: the four messages of SCRAM-SHA-256 (RFC 5802, RFC 7677), parsed strictly and written; the
 * cryptography is in io/verifier.h. Server and client sessions both use it.
 *
 * client first   n,,n=ada,r=NONCE                 "p=TYPE,," with channel binding
 *   server first   r=NONCE+OURS,s=SALT,i=ITERATIONS
 *   client final   c=BINDING,r=NONCE+OURS,p=PROOF
 *   server final   v=SIGNATURE
 *
 * Parsed texts borrow from the message.
 */
#ifndef MAILBOAT_CORE_SASL_SCRAM_H
#define MAILBOAT_CORE_SASL_SCRAM_H

#include "base/buffer.h"

enum scram_limit {
    SCRAM_KEY = 32,        /* octets of a key, a proof and a signature: SHA-256 */
    SCRAM_NAME_MAX = 320,  /* octets of a user name */
    SCRAM_NONCE_MAX = 256, /* octets of each nonce; of both together twice as many */
    SCRAM_SALT_MAX = 64,
    SCRAM_ITERATIONS_MIN = 4096,    /* RFC 7677 4: a lower count would make guessing cheap */
    SCRAM_ITERATIONS_MAX = 1000000, /* a higher count would keep a client busy */
    SCRAM_NONCE = 18,               /* octets of this side's nonce, before base64 */
};

/* Names of channel bindings, also valid for TLS 1.3 (RFC 9266, RFC 5929 4). */
#define SCRAM_TLS_EXPORTER "tls-exporter"
#define SCRAM_TLS_SERVER_END_POINT "tls-server-end-point"

struct scram_client_first {
    char flag;              /* 'n': cannot bind; 'y': could, but the server offered no -PLUS; 'p': binds */
    struct bytes binding;   /* 'p': the binding's name */
    struct bytes authorize; /* as sent; empty if absent */
    struct bytes user;      /* as sent: scram_name_read() */
    struct bytes nonce;
    struct bytes header; /* up to and including the second comma */
    struct bytes bare;   /* the message after the header */
};
bool scram_read_client_first(struct bytes message, struct scram_client_first *first);

struct scram_client_final {
    struct bytes binding; /* base64, as sent */
    struct bytes nonce;
    struct bytes unproved; /* the message up to ",p=" */
    uint8_t proof[SCRAM_KEY];
};
bool scram_read_client_final(struct bytes message, struct scram_client_final *final);

struct scram_server_first {
    struct bytes nonce;
    uint8_t salt[SCRAM_SALT_MAX];
    size_t salt_length;
    uint32_t iterations;
};
/* False also if its numbers are outside the limits. */
bool scram_read_server_first(struct bytes message, struct scram_server_first *first);
void scram_write_server_first(struct buffer *out, struct bytes client_nonce, struct bytes server_nonce,
                              struct bytes salt, uint32_t iterations);

bool scram_read_server_final(struct bytes message, uint8_t signature[SCRAM_KEY]);

/* Decodes a name with "=2C" and "=3D" for comma and equals sign; false if malformed. */
bool scram_name_read(struct buffer *out, struct bytes text);
void scram_name_write(struct buffer *out, struct bytes name);

/* True if the text is base64 of the header followed by the binding's octets. */
bool scram_binding_is(struct bytes text, struct bytes header, struct bytes octets);

#endif
