/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: OpenSSL behind a few words. A context is made once (with privileges,
 * before the process is sealed); connections are made from it in conn.h.
 * TLS 1.2 at least (RFC 8997).
 */
#ifndef MAILBOAT_IO_TLS_H
#define MAILBOAT_IO_TLS_H

#include <openssl/ssl.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/folder.h"

struct tls_context {
    SSL_CTX *ssl;
    struct tls_sessions *sessions; /* a client's that resumes; else NULL */
};

/* What a client may have in its ClientHello (RFC 8446 4.2.7, 4.2.8), in octets
 * of the extension; others are told illegal_parameter. Browsers have 20 of
 * groups, and 1,300 of key shares with one that quantum computers do not break. */
enum { TLS_HELLO_GROUPS_MAX = 512, TLS_HELLO_SHARES_MAX = 8 * 1024 };
/* What a server takes, for others to be told too (Dovecot): elliptic curves
 * alone. A client chooses among what there is, and ffdhe8192 costs a hundred
 * times the CPU of these; P-384, five times as dear as the others, is for those
 * who have nothing else. Of TLS 1.2, CBC comes last, for mail programs of
 * Windows 7 and Java 8. */
#define TLS_SERVER_GROUPS "X25519:P-256:P-384"
#define TLS_SERVER_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!AESCCM:!aNULL:!eNULL:!PSK:!SRP"
/* A larger finite-field group, of a server of TLS 1.2 that has nothing else, ends a client's handshake. */
enum { TLS_CLIENT_DH_BITS_MAX = 4096 };

/* A server's: ECDHE alone. PEM files, chain first. Errors name the file and the mend. */
bool tls_server_open(struct tls_context *context, const char *certificate_file, const char *key_file,
                     struct error *error);
/* Makes session tickets by keys that follow from a secret and the time of day,
 * so that every process that has the secret resumes the sessions of the
 * others (RFC 5077, RFC 8446 2.2); keys change each TLS_TICKET_S, and the one
 * before is still understood. The secret must stay where it is. */
enum { TLS_TICKET_SECRET_OCTETS = 32, TLS_TICKET_S = 12 * 3600 };
void tls_share_tickets(struct tls_context *context, const unsigned char *secret);
/* Says "smtp" (or what it is) to a client that offers that
 * protocol (ALPN, RFC 7301); others are served as ever. */
void tls_speak(struct tls_context *context, const char *protocol);
/* A client's: the system's CA certificates, or those of `ca_file` where given. */
bool tls_client_open(struct tls_context *context, const char *ca_file, struct error *error);
/* From now on conns of this client context resume sessions (RFC 8446 2.2)
 * with peers of whom the same was asked: the same name, checked in the same way. */
enum { TLS_SESSIONS_MAX = 2000, TLS_SESSION_AGE_MAX_S = 60 * 60 };
void tls_client_resume(struct tls_context *context);
void tls_close(struct tls_context *context);

/* conn's: a session is kept with how its certificate was judged; `key` says
 * who was asked for and what was demanded. The taker owns the session. */
void tls_session_keep(struct tls_context *context, struct bytes key, SSL_SESSION *session, long verify_error);
SSL_SESSION *tls_session_take(struct tls_context *context, struct bytes key, long *verify_error);

/* Makes a self-signed certificate and key (ECDSA P-256) for `hostname` and
 * writes them as PEM into `folder`; files are 0600 for the key and 0644. */
bool tls_make_self_signed(const char *hostname, const struct folder *folder, const char *certificate_name,
                          const char *key_name, struct error *error);

/* The SHA-256 of the key of the first certificate in a PEM file: TLSA 3 1 1 (RFC 6698, RFC 7671 5.1). */
enum { TLS_KEY_DIGEST = 32 };
bool tls_key_digest(const char *certificate_file, uint8_t digest[TLS_KEY_DIGEST], struct error *error);

/* Signs what is published, in the form of CMS (RFC 5652), with the content inside. */
struct tls_signer {
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
};
bool tls_signer_open(struct tls_signer *signer, const char *certificate_file, const char *key_file);
bool tls_sign(const struct tls_signer *signer, struct bytes content, struct buffer *out);

#endif
