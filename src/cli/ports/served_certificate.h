/* SPDX-License-Identifier: Apache-2.0 */
/* served_certificate: the certificate that a port of this machine serves, for `doctor`: a file that was
 * renewed helps no client until the server has read it again. */
#ifndef MAILBOAT_CLI_PORTS_SERVED_CERTIFICATE_H
#define MAILBOAT_CLI_PORTS_SERVED_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

enum { SERVED_CERTIFICATE_MS = 5000 }; /* per wait for the server */

/* Takes over a connected socket and closes it: does a handshake, after STARTTLS unless `implicit`, with
 * `hostname` as its name (SNI). NULL: no certificate came; else the caller frees it and *chain. */
X509 *served_certificate(int descriptor, bool implicit, const char *hostname, STACK_OF(X509) * *chain);

#endif
