/* SPDX-License-Identifier: Apache-2.0 */
/* health_certificate: the certificate of the configuration, and the one that each port serves. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "base/count.h"
#include "cli/ports/health.h"
#include "cli/ports/served_certificate.h"
#include "cli/setup/dovecot.h"
#include "io/certificate.h"

enum { SERVED_KINDS_MAX = 4 }; /* different certificates that are reported */

struct certificate_look {
    struct health *health;
    const struct config *config;
    X509 *file; /* first certificate of tls.certificate; NULL: none was read */
    X509 *seen[SERVED_KINDS_MAX];
    size_t count;
    bool unheard; /* a port accepted the connection, but served none */
};

static bool is_ill(unsigned faults)
{
    return (faults & (1u << CERTIFICATE_EXPIRED | 1u << CERTIFICATE_NOT_YET_VALID |
                      1u << CERTIFICATE_OTHER_NAME)) != 0;
}

/* Names the gravest fault, with its hint; `where`: "that port 465 serves ". */
static void judge(struct certificate_look *look, X509 *certificate, STACK_OF(X509) * chain, const char *where)
{
    struct arena *arena = &look->health->arena;
    const char *hostname = look->config->hostname, *words;
    char fault_words[CERTIFICATE_WORDS_SIZE];
    int days;
    unsigned found = certificate_faults(certificate, chain, hostname, look->config->relay.ca_file, &days),
             fault = 0;
    while (fault < CERTIFICATE_FAULTS && (found & 1u << fault) == 0)
        fault++;
    if (fault == CERTIFICATE_FAULTS)
        words = arena_format(arena, "%sis valid for %s", where, COUNT_OF(days, "more day"));
    else if (fault == CERTIFICATE_OTHER_NAME)
        words = arena_format(arena, "%sdoes not match %s", where, hostname);
    else if (fault == CERTIFICATE_EXPIRES_SOON)
        words = arena_format(arena, "%sexpires in %s", where, COUNT_OF(days, "day"));
    else
        words = arena_format(arena, "%s%s", where, certificate_fault_words(fault, certificate, fault_words));
    health_note(look->health,
                is_ill(found)                 ? HEALTH_ILL
                : fault == CERTIFICATE_FAULTS ? HEALTH_FINE
                                              : HEALTH_WORRY,
                "certificate", words, fault == CERTIFICATE_FAULTS ? NULL : certificate_fault_hint(fault));
}

static bool is_known(struct certificate_look *look, X509 *certificate)
{
    for (size_t i = 0; i < look->count; i++)
        if (X509_cmp(look->seen[i], certificate) == 0)
            return true;
    if (look->count < SERVED_KINDS_MAX && X509_up_ref(certificate) == 1)
        look->seen[look->count++] = certificate;
    return false;
}

static void examine_port(struct certificate_look *look, const char *address, uint16_t port, bool implicit)
{
    struct arena *arena = &look->health->arena;
    STACK_OF(X509) *chain = NULL;
    int descriptor = -1;
    if (port == 0 || health_connect(address, port, &descriptor) != NULL)
        return; /* reported with the ports */
    X509 *served = served_certificate(descriptor, implicit, look->config->hostname, &chain);
    if (served == NULL)
        health_note(look->health, HEALTH_ILL, arena_format(arena, "TLS of port %u", (unsigned)port),
                    "no handshake with the server is possible",
                    "see the log of the server; restart it: systemctl restart mailboat");
    else if (!is_known(look, served)) {
        judge(look, served, chain, arena_format(arena, "(port %u) ", (unsigned)port));
        if (look->file != NULL && X509_cmp(served, look->file) != 0)
            health_note(look->health, HEALTH_ILL, "certificate",
                        arena_format(arena, "(port %u) is not the one in %s", (unsigned)port,
                                     look->config->tls.certificate),
                        "have the server read the new one: mailboat reload");
    }
    look->unheard = look->unheard || served == NULL;
    X509_free(served);
    sk_X509_pop_free(chain, X509_free);
}

static void examine_ports(struct certificate_look *look)
{
    const struct config *config = look->config;
    for (size_t i = 0; i < config->listener_count; i++)
        examine_port(look, config->listeners[i].address, config->listeners[i].port,
                     config->listeners[i].tls == TLS_IMPLICIT);
    examine_port(look, config->web.address, config->web.tls_port, true);
    if (dovecot_is_set_up(config)) {
        examine_port(look, config->mailboxes.address, config->mailboxes.imaps, true);
        examine_port(look, config->mailboxes.address, config->mailboxes.pop3s, true);
    }
}

/* Only where no port serves one: the file may still say what the next start will meet. */
static void examine_file(struct certificate_look *look)
{
    const char *path = look->config->tls.certificate;
    if (path == NULL)
        return;
    FILE *file = fopen(path, "re");
    STACK_OF(X509) *chain = sk_X509_new_null();
    look->file = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    for (X509 *next; look->file != NULL && (next = PEM_read_X509(file, NULL, NULL, NULL)) != NULL;)
        sk_X509_push(chain, next);
    examine_ports(look);
    if (look->file == NULL)
        health_note(look->health, HEALTH_ILL, "certificate",
                    arena_format(&look->health->arena, "%s cannot be read", path),
                    "run this as root, or fix tls.certificate");
    else if (look->count == 0 && !look->unheard)
        judge(look, look->file, chain, "");
    sk_X509_pop_free(chain, X509_free);
    if (file != NULL)
        fclose(file);
}

/* Of the files: only who may read the key can tell. */
static void examine_pair(struct certificate_look *look)
{
    const struct config *config = look->config;
    struct error error = {0};
    struct buffer warnings = {0};
    if (config->tls.key != NULL && access(config->tls.key, R_OK) == 0 && look->file != NULL &&
        !certificate_check_files(config->tls.certificate, config->tls.key, config->hostname,
                                 config->relay.ca_file, &warnings, &error))
        health_note(look->health, HEALTH_ILL, "key", arena_format(&look->health->arena, "%s", error.text),
                    "until then the server cannot be reloaded or started");
    buffer_free(&warnings);
}

void health_certificate_examine(struct health *health, const struct config *config)
{
    struct certificate_look look = {.health = health, .config = config};
    if (config->tls.certificate == NULL) {
        health_note(health, HEALTH_WORRY, "certificate", "not configured; a self-signed one is used",
                    "set tls.certificate and tls.key");
        return;
    }
    examine_file(&look);
    examine_pair(&look);
    for (size_t i = 0; i < look.count; i++)
        X509_free(look.seen[i]);
    X509_free(look.file);
}
