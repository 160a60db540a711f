/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram: the four messages of SCRAM-SHA-256 (RFC 5802, RFC 7677), read
 * strictly and written, without any of its arithmetic: that is the shell's
 * (io/verifier.h). Server and client sessions both go by these.
 *
 *   client first   n,,n=ada,r=NONCE                 "p=TYPE,," with channel binding
 *   server first   r=NONCE+OURS,s=SALT,i=ITERATIONS
 *   client final   c=BINDING,r=NONCE+OURS,p=PROOF
 *   server final   v=SIGNATURE
 *
 * Texts that were read borrow from the message.
 */
#ifndef MAILBOAT_CORE_SASL_SCRAM_H
#define MAILBOAT_CORE_SASL_SCRAM_H

#include "base/buffer.h"

enum scram_limit {
    SCRAM_KEY = 32,        /* octets of a key, a proof and a signature: SHA-256 */
    SCRAM_NAME_MAX = 320,  /* octets of a user name */
    SCRAM_NONCE_MAX = 256, /* octets of each nonce, and of both together twice as many */
    SCRAM_SALT_MAX = 64,
    SCRAM_ITERATIONS_MIN = 4096,    /* RFC 7677 4: less would be a way to make guessing cheap */
    SCRAM_ITERATIONS_MAX = 1000000, /* more would be a way to keep a client busy */
    SCRAM_NONCE = 18,               /* octets of ours, before base64 */
};

/* Channel bindings by name: those that TLS 1.3 has too (RFC 9266, RFC 5929 4). */
#define SCRAM_TLS_EXPORTER "tls-exporter"
#define SCRAM_TLS_SERVER_END_POINT "tls-server-end-point"

struct scram_client_first {
    char flag;              /* 'n': cannot bind; 'y': could, but the server offered no -PLUS; 'p': binds */
    struct bytes binding;   /* 'p': the binding's name */
    struct bytes authorize; /* as it stands; empty when unsaid */
    struct bytes user;      /* as it stands: scram_name_read() */
    struct bytes nonce;
    struct bytes header; /* up to and with the second comma */
    struct bytes bare;   /* what follows it */
};
bool scram_read_client_first(struct bytes message, struct scram_client_first *first);

struct scram_client_final {
    struct bytes binding; /* base64, as it stands */
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
/* False too when its numbers are outside of the limits. */
bool scram_read_server_first(struct bytes message, struct scram_server_first *first);
void scram_write_server_first(struct buffer *out, struct bytes client_nonce, struct bytes server_nonce,
                              struct bytes salt, uint32_t iterations);

bool scram_read_server_final(struct bytes message, uint8_t signature[SCRAM_KEY]);

/* A name with "=2C" and "=3D" for comma and equals sign; false when it is none. */
bool scram_name_read(struct buffer *out, struct bytes text);
void scram_name_write(struct buffer *out, struct bytes name);

/* Is it base64 of the header with the binding's octets behind it? */
bool scram_binding_is(struct bytes text, struct bytes header, struct bytes octets);

#endif
