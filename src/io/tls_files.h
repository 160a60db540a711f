/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_files: the files of certificates and keys that a person prepared, read into a context of OpenSSL. What
 * cannot be used is told as it is: joined blocks, indentation, another kind of block, another key (pem_text).
 *
 * io/tls calls these functions while it opens a context.
 */
#ifndef MAILBOAT_IO_TLS_FILES_H
#define MAILBOAT_IO_TLS_FILES_H

#include <openssl/ssl.h>

#include "base/error.h"

enum tls_files_limit {
    PEM_FILE_MAX = 8 * 1024 * 1024, /* octets that are looked at; a bundle of all CAs has some 200 KiB */
};

/* Takes the certificate chain and its key; false with EX_CONFIG and what to do. Never asks for a passphrase.
 * The key's text is wiped. */
bool tls_files_use(SSL_CTX *ssl, const char *certificate_file, const char *key_file, struct error *error);

/* Trusts the CA certificates of the file; false with EX_CONFIG. */
bool tls_files_trust(SSL_CTX *ssl, const char *ca_file, struct error *error);

#endif
