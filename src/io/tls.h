/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: OpenSSL behind a small interface. A context is created once (with privileges, before the sandbox);
 * connections are created from it in conn.h. At least TLS 1.2 (RFC 8997).
 */
#ifndef MAILBOAT_IO_TLS_H
#define MAILBOAT_IO_TLS_H

#include <openssl/ssl.h>

#include "base/buffer.h"
#include "base/error.h"
#include "io/folder.h"

struct tls_context {
    SSL_CTX *ssl;
    struct tls_sessions *sessions; /* of a client that resumes; else NULL */
    struct tls_tickets *tickets;   /* of a server that shares them; else NULL */
};

/* Limits of a ClientHello (RFC 8446 4.2.7, 4.2.8), in octets of the extension; larger ones are rejected
 * with illegal_parameter. Browsers send 20 for groups, and 1,300 for key shares with a post-quantum one. */
enum { TLS_HELLO_GROUPS_MAX = 512, TLS_HELLO_SHARES_MAX = 8 * 1024 };
/* Algorithms of a server, also for the configuration of others (Dovecot): only elliptic curves. The client
 * chooses among the offered groups, and ffdhe8192 costs a hundred times the CPU of these; P-384, five
 * times as expensive as the others, is for clients without an alternative. In TLS 1.2, CBC comes last, for
 * mail programs of Windows 7 and Java 8. */
#define TLS_SERVER_GROUPS "X25519:P-256:P-384"
#define TLS_SERVER_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!AESCCM:!aNULL:!eNULL:!PSK:!SRP"
/* A client aborts the handshake with a TLS 1.2 server that offers only a larger finite-field group. */
enum { TLS_CLIENT_DH_BITS_MAX = 4096 };

/* Opens a server's context: ECDHE only. PEM files, chain first. Errors name the file and a hint. */
bool tls_server_open(struct tls_context *context, const char *certificate_file, const char *key_file,
                     struct error *error);
/* Lets clients of this server context use TLS 1.0 and 1.1, and what such clients know: SHA-1, CBC, RSA key
 * exchange. For a few devices, never for all. */
void tls_allow_old(struct tls_context *context);
#define TLS_OLD_SUITES TLS_SERVER_SUITES ":RSA+AES:@SECLEVEL=0"
/* Derives session ticket keys from a secret and the time of day, so that all processes with the secret
 * resume each other's sessions (RFC 5077, RFC 8446 2.2); keys change every TLS_TICKET_S, and the previous
 * one is still accepted. The secret must not move. */
enum { TLS_TICKET_SECRET_OCTETS = 32, TLS_TICKET_S = 12 * 3600 };
void tls_share_tickets(struct tls_context *context, const unsigned char *secret);
/* Selects "smtp" (or another protocol) for clients that offer it (ALPN, RFC 7301); clients without ALPN
 * are served as before. */
void tls_speak(struct tls_context *context, const char *protocol);
/* Opens a client's context: with the system's CA certificates, or those of `ca_file` if given. */
bool tls_client_open(struct tls_context *context, const char *ca_file, struct error *error);
/* Lets conns of this client context resume sessions (RFC 8446 2.2) with peers under the same requirements:
 * the same name, checked in the same way. */
enum { TLS_SESSIONS_MAX = 2000, TLS_SESSION_AGE_MAX_S = 60 * 60 };
void tls_client_resume(struct tls_context *context);
void tls_close(struct tls_context *context);

/* For conn: stores a session with the result of its certificate check; `key` contains the peer and the
 * requirements. The taker owns the session. */
void tls_session_keep(struct tls_context *context, struct bytes key, SSL_SESSION *session, long verify_error);
SSL_SESSION *tls_session_take(struct tls_context *context, struct bytes key, long *verify_error);

/* Creates a self-signed certificate and key (ECDSA P-256) for `hostname` as PEM files in `folder`; mode
 * 0600 for the key, 0644 for the certificate. */
bool tls_make_self_signed(const char *hostname, const struct folder *folder, const char *certificate_name,
                          const char *key_name, struct error *error);

/* Computes the SHA-256 of the key of the first certificate in a PEM file: TLSA 3 1 1 (RFC 6698, RFC 7671
 * 5.1). */
enum { TLS_KEY_DIGEST = 32 };
bool tls_key_digest(const char *certificate_file, uint8_t digest[TLS_KEY_DIGEST], struct error *error);

/* Signs published settings as CMS (RFC 5652), with the content inside. */
struct tls_signer {
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
};
bool tls_signer_open(struct tls_signer *signer, const char *certificate_file, const char *key_file);
bool tls_sign(const struct tls_signer *signer, struct bytes content, struct buffer *out);

#endif
