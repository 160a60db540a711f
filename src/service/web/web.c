/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web process: serves the settings that mail programs fetch by HTTP and HTTPS. It knows the hosted
 * domains and the ports that serve them, read before the sandbox, and no accounts.
 *
 * On a reload a new process starts beside the old one. The old one stops accepting, announces with its next
 * answer on each connection that it closes it, and ends with the last connection.
 */
#define _GNU_SOURCE
#include "service/web/web.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/log.h"
#include "run/subprocess.h"
#include "run/users.h"
#include "service/auth/account_store.h"
#include "service/services.h"

static struct web here; /* one per process */

/* ---- connections ---- */

bool web_admits(struct web *web, const struct sockaddr_storage *from)
{
    uint32_t per_client_max = web->child->config->limits.connections_per_client;
    if (web_connections_are_too_many(&web->connections, from, per_client_max))
        return false;
    struct web_connection *to_close = web_connections_to_close(&web->connections);
    if (to_close != NULL)
        to_close->kind->end(to_close);
    return true;
}

/* ---- start and end ---- */

static bool listen_on(const char *text, uint16_t port, int *listening, struct error *error)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&address;
    socklen_t length = sizeof *four;
    int one = 1;
    *listening = -1;
    if (port == 0)
        return true;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        length = sizeof *six;
    } else {
        return error_set(
            error, EX_CONFIG,
            "web.address: %s is not an IP address; use 0.0.0.0, :: or an address of this machine", text);
    }
    *listening = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*listening >= 0 && setsockopt(*listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        setsockopt(*listening, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0 &&
        bind(*listening, (struct sockaddr *)&address, length) == 0 && listen(*listening, SOMAXCONN) == 0)
        return true;
    return error_set_errno(error, EX_UNAVAILABLE,
                           "cannot listen on %s port %u for the web; choose another web.port", text,
                           (unsigned)port);
}

static void add_domain(struct web *web, struct bytes domain)
{
    buffer_clear(&web->name);
    if (web->domain_count < WEB_DOMAINS_MAX && accounts_domain(&web->name, domain))
        web->domains[web->domain_count++] = arena_copy(&web->arena, buffer_bytes(&web->name));
}

static void add_line(void *owner, const char *const *columns, size_t count)
{
    buffer_add_format(owner, "%s\n", columns[0]);
}

/* This process must not see accounts: another one reads the domains and the hashes beside them. */
static bool list_domains(void *owner, struct buffer *out, struct error *error)
{
    const struct config *config = owner;
    struct accounts *accounts = accounts_open(config->data_dir, false, error);
    bool listed = accounts != NULL && accounts_each(accounts, LIST_DOMAINS, add_line, out, error);
    if (accounts != NULL)
        accounts_close(accounts);
    return listed;
}

static void add_domains_of_accounts(struct web *web)
{
    struct buffer lines = {0};
    struct error unreadable = {0};
    subprocess_run(list_domains, (void *)(uintptr_t)web->child->config, &lines, &unreadable);
    struct bytes left = buffer_bytes(&lines);
    while (left.length > 0)
        add_domain(web, bytes_split(&left, '\n'));
    buffer_free(&lines);
}

static void find_facts(struct web *web)
{
    const struct config *config = web->child->config;
    struct stat facts;
    web->domains = ARENA_ARRAY(&web->arena, struct bytes, WEB_DOMAINS_MAX);
    for (size_t i = 0; i < config->domain_count; i++)
        add_domain(web, bytes_of_text(config->domains[i]));
    add_domains_of_accounts(web);
    buffer_clear(&web->name);
    web->configured.hostname = accounts_domain(&web->name, bytes_of_text(config->hostname))
                                   ? arena_copy(&web->arena, buffer_bytes(&web->name))
                                   : bytes_of_text(config->hostname);
    config_submission_ports(config, web->configured.starttls, web->configured.implicit);
    struct sts_settings sts = config_sts_settings(config);
    if (sts.mode != STS_SETTING_OFF)
        web->sts_policy = sts_settings_policy(&sts, web->configured.hostname, &web->arena);
    if (stat(arena_format(&web->arena, "%s/dovecot/dovecot.conf", config->data_dir), &facts) != 0)
        return;
    web->configured.imap = config->mailboxes.imap;
    web->configured.imaps = config->mailboxes.imaps;
    web->configured.pop3 = config->mailboxes.pop3;
    web->configured.pop3s = config->mailboxes.pop3s;
}

static bool web_open(struct child *child, struct error *error)
{
    const struct config *config = child->config;
    struct web *web = &here;
    *web = (struct web){.child = child, .examine_ms = WEB_EXAMINE_FIRST_MS};
    child->service_data = web;
    setpriority(PRIO_PROCESS, 0, WEB_NICE);
    find_facts(web);
    web->facts = web->configured;
    if (!listen_on(config->web.address, config->web.port, &web->clear.listening, error) ||
        !listen_on(config->web.address, config->web.tls_port, &web->secured.listening, error))
        return false;
    /* without it profiles are not signed */
    tls_signer_open(&web->signer, config->tls.certificate, config->tls.key);
    if (config->web.tls_port == 0)
        return true;
    if (!tls_server_open(&web->tls, config->tls.certificate, config->tls.key, error))
        return false;
    tls_speak(&web->tls, "http/1.1");
    return true;
}

static bool web_start(struct child *child, struct error *error)
{
    struct web *web = child->service_data;
    timer_start(&web->examine, child->loop, published_ports_ask, web);
    web_handshakes_start(web);
    acceptor_start(&web->clear, web, http_connection_accept);
    acceptor_start(&web->secured, web, alpn_demux_accept);
    return true;
}

static void web_message(struct child *child, struct channel *from, enum ipc_kind kind,
                        union ipc_message *message, int attached)
{
    if (attached >= 0)
        close(attached); /* no message has a descriptor for this process */
    if (kind == IPC_EXAMINED)
        published_ports_answered(child->service_data, message->examined.closed);
}

static void web_peer(struct child *child, struct channel *peer)
{
    const struct web *web = child->service_data;
    if (peer->peer == PROCESS_RELAY && !web->draining)
        published_ports_ask(child->service_data);
}

void web_leave_if_done(struct web *web)
{
    if (web->draining && web->connections.count == 0)
        child_exit(web->child, EX_OK);
}

static void drained(void *owner)
{
    struct web *web = owner;
    child_exit(web->child, EX_OK);
}

static void web_drain(struct child *child, bool quick)
{
    struct web *web = child->service_data;
    if (quick) { /* interrupted requests are repeated by clients */
        child_exit(child, EX_OK);
        return;
    }
    if (!web->draining) {
        timer_start(&web->drained, child->loop, drained, web);
        timer_set(&web->drained, WEB_DRAIN_MS);
        acceptor_stop(&web->clear);
        acceptor_stop(&web->secured);
    }
    web->draining = true;
    for (struct web_connection *connection = web->connections.oldest; connection != NULL;
         connection = connection->newer)
        if (connection->kind->drain != NULL)
            connection->kind->drain(connection);
    web_leave_if_done(web);
}

static uint32_t web_count(const struct config *config)
{
    return config->web.port != 0 || config->web.tls_port != 0;
}

const struct service web_service = {.role = PROCESS_WEB,
                                    .count = web_count,
                                    .overlaps = true,
                                    .stop = STOP_INTAKE,
                                    .keeps = SANDBOX_ACCEPTS,
                                    .open = web_open,
                                    .start = web_start,
                                    .on_message = web_message,
                                    .on_peer = web_peer,
                                    .on_drain = web_drain};
