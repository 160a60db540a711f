/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web process: serves the settings that mail programs fetch by HTTP and HTTPS (content:
 * core/domain/published). It knows the hosted domains and the ports that serve them, read before the
 * sandbox, and no accounts: every address of a domain gets the same answer.
 *
 * HTTP is implemented by libmicrohttpd; its descriptor is watched by this process's loop.
 */
#define _GNU_SOURCE
#include "service/web/web.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/dns/dns_name.h"
#include "io/log.h"
#include "run/subprocess.h"
#include "run/users.h"
#include "service/auth/account_store.h"
#include "service/services.h"

/* A request in progress: its upload. */
struct web_request {
    struct buffer body;
    bool too_large;
};

static struct web here; /* one per process */

/* ---- requests ---- */

/* Accepts any script; *domain becomes its A-label form. */
static bool is_hosted(struct web *web, struct bytes *domain)
{
    buffer_clear(&web->name);
    if (!accounts_domain(&web->name, *domain))
        return false;
    *domain = buffer_bytes(&web->name);
    for (size_t i = 0; i < web->domain_count; i++)
        if (bytes_equal(web->domains[i], *domain))
            return true;
    return false;
}

/* Fills in the facts for an address, or for a host name without its first label; false if its domain is
 * not hosted here. */
static bool facts_for(struct web *web, struct bytes address, struct bytes host, struct published *facts)
{
    static const char *const words[] = {"autoconfig.", "autodiscover.", "mail.", ""};
    *facts = web->facts;
    if (address.length > 0) {
        size_t at = bytes_find_last(address, '@');
        facts->address = address;
        facts->domain = at == SIZE_MAX ? address : bytes_from(address, at + 1);
        return address.length <= PUBLISHED_ADDRESS_MAX && at != 0 && is_hosted(web, &facts->domain);
    }
    host = bytes_first(host, bytes_find(host, ':'));
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        facts->domain = bytes_starts_nocase(host, words[i]) ? bytes_from(host, strlen(words[i]))
                                                            : bytes_none();
        if (facts->domain.length > 0 && is_hosted(web, &facts->domain))
            return true;
    }
    return false;
}

/* True for the server's own name, with or without a port. */
static bool is_own_name(const struct web *web, struct bytes host)
{
    host = bytes_first(host, bytes_find(host, ':'));
    return dns_name_equal(dns_name_without_dot(host), web->configured.hostname);
}

enum web_form { FORM_AUTOCONFIG, FORM_POX, FORM_JSON, FORM_APPLE, FORM_STS, FORM_PAGE };

static const struct {
    const char *path;
    enum web_form form;
    const char *type;
} pages[] = {
    {"/.well-known/autoconfig/mail/config-v1.1.xml", FORM_AUTOCONFIG, "text/xml; charset=utf-8"},
    {"/mail/config-v1.1.xml", FORM_AUTOCONFIG, "text/xml; charset=utf-8"},
    {"/autodiscover/autodiscover.xml", FORM_POX, "text/xml; charset=utf-8"},
    {"/autodiscover/autodiscover.json", FORM_JSON, "application/json"},
    {"/mail/apple.mobileconfig", FORM_APPLE, "application/x-apple-aspen-config"},
    {"/.well-known/mta-sts.txt", FORM_STS, "text/plain; charset=utf-8"},
    {"/", FORM_PAGE, "text/html; charset=utf-8"},
};

/* ---- responses ---- */

static enum MHD_Result send_answer(struct MHD_Connection *connection, unsigned code, const char *type,
                                   struct bytes body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(body.length, (void *)(uintptr_t)body.at,
                                                                    MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri "
                            "'none'; frame-ancestors 'none'");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned code, const char *word)
{
    return send_answer(connection, code, "text/plain; charset=utf-8", bytes_of_text(word));
}

static struct bytes argument_of(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    return value == NULL ? bytes_none() : bytes_of_text(value);
}

static struct bytes host_of(struct MHD_Connection *connection)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    return host == NULL ? bytes_none() : bytes_of_text(host);
}

/* Returns the last part of /autodiscover/autodiscover.json/v1.0/ADDRESS. */
static struct bytes address_in_path(struct bytes path)
{
    size_t slash = bytes_find_last(path, '/');
    struct bytes last = slash == SIZE_MAX ? bytes_none() : bytes_from(path, slash + 1);
    return bytes_find(last, '@') == SIZE_MAX ? bytes_none() : last;
}

static void write_form(const struct web *web, enum web_form form, const struct published *facts,
                       struct buffer *out)
{
    struct buffer profile = {0};
    switch (form) {
    case FORM_AUTOCONFIG: published_autoconfig(out, facts); break;
    case FORM_POX: published_autodiscover(out, facts); break;
    case FORM_JSON: published_autodiscover_json(out, facts); break;
    case FORM_STS: buffer_add(out, web->sts_policy); break;
    case FORM_PAGE: published_page(out, facts); break;
    case FORM_APPLE:
        published_mobileconfig(&profile, facts);
        if (!tls_sign(&web->signer, buffer_bytes(&profile), out))
            buffer_add(out, buffer_bytes(&profile));
        break;
    }
    buffer_free(&profile);
}

/* The policy is that of mta-sts.DOMAIN alone (RFC 8461 3.3). */
static bool has_policy(struct web *web, struct bytes host)
{
    static const char prefix[] = "mta-sts.";
    if (web->sts_policy.length == 0 || !bytes_starts_nocase(host, prefix))
        return false;
    struct bytes domain = bytes_from(host, strlen(prefix));
    domain = bytes_first(domain, bytes_find(domain, ':'));
    return domain.length > 0 && is_hosted(web, &domain);
}

/* Finds what a document is about; false if there is nothing of it here. */
static bool find_subject(struct web *web, enum web_form form, struct bytes address, struct bytes host,
                         struct published *facts)
{
    bool needs_address = form == FORM_POX || form == FORM_APPLE;
    if (form == FORM_STS)
        return has_policy(web, host);
    if (needs_address && bytes_find(address, '@') == SIZE_MAX)
        return false;
    if (facts_for(web, address, host, facts))
        return true;
    facts->domain = bytes_none();
    return form == FORM_PAGE && address.length == 0 && is_own_name(web, host);
}

static enum MHD_Result give(struct web *web, struct MHD_Connection *connection, size_t page, const char *path,
                            const struct web_request *request)
{
    char buffer[PUBLISHED_ADDRESS_MAX + 1];
    enum web_form form = pages[page].form;
    struct bytes address = argument_of(connection, form == FORM_JSON ? "Email" : "emailaddress");
    struct published facts;
    struct buffer out = {0};
    if (form == FORM_JSON && address.length == 0)
        address = address_in_path(bytes_of_text(path));
    if (form == FORM_POX && address.length == 0 &&
        published_pox_address(buffer_bytes(&request->body), buffer))
        address = bytes_of_text(buffer);
    bool needs_address = form == FORM_POX || form == FORM_APPLE;
    if (form == FORM_APPLE && !published_is_read_here(&web->facts))
        return send_text(
            connection, MHD_HTTP_NOT_FOUND,
            "A profile for Apple Mail needs IMAP or POP3, which this server does not offer yet.\n");
    bool known = find_subject(web, form, address, host_of(connection), &facts);
    if (known)
        write_form(web, form, &facts, &out);
    else if (form == FORM_POX)
        published_autodiscover_error(&out);
    enum MHD_Result result = out.length > 0
                                 ? send_answer(connection, MHD_HTTP_OK, pages[page].type, buffer_bytes(&out))
                                 : send_text(connection, MHD_HTTP_NOT_FOUND,
                                             needs_address && address.length == 0
                                                 ? "Use ?emailaddress=you@your.domain\n"
                                                 : "This server does not host that domain.\n");
    buffer_free(&out);
    return result;
}

static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    const struct web_listener *listener = owner;
    struct web_request *request = *context;
    bool gets = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0,
         posts = strcmp(method, "POST") == 0;
    if (request == NULL) {
        *context = memory_new(sizeof *request);
        if (web_timeouts_first_request(connection) && listener == &listener->web->secured)
            alpn_demux_served(listener->web, connection);
        return MHD_YES;
    }
    if (*upload_size > 0) {
        request->too_large = request->too_large ||
                             request->body.length + *upload_size > PUBLISHED_REQUEST_MAX;
        if (!request->too_large)
            buffer_add(&request->body, bytes_of(upload, *upload_size));
        *upload_size = 0;
        return MHD_YES;
    }
    if (!gets && !posts)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET, HEAD and POST are supported.\n");
    if (request->too_large)
        return send_text(connection, MHD_HTTP_CONTENT_TOO_LARGE, "Too large.\n");
    for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
        struct bytes wanted = bytes_of_text(path);
        bool below = pages[i].form == FORM_JSON && bytes_starts_nocase(wanted, pages[i].path);
        if ((below || bytes_is_nocase(wanted, pages[i].path)) && (gets || pages[i].form == FORM_POX))
            return give(listener->web, connection, i, path, request);
    }
    return send_text(connection, MHD_HTTP_NOT_FOUND, "Not found.\n");
}

static void on_completed(void *owner, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
    struct web_request *request = *context;
    if (request == NULL)
        return;
    buffer_free(&request->body);
    free(request);
    *context = NULL;
}

/* ---- the loop ---- */

static void set_timer(struct web_listener *listener)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (MHD_get_timeout(listener->daemon, &wait_ms) == MHD_YES)
        timer_set(&listener->timer, wait_ms);
    else
        timer_cancel(&listener->timer);
}

static void go_on(void *owner)
{
    struct web_listener *listener = owner;
    MHD_run(listener->daemon);
    set_timer(listener);
}

static void on_ready(void *owner, bool readable, bool writable)
{
    go_on(owner);
}

void web_serve(void *owner, int descriptor, const struct sockaddr_storage *from, socklen_t length)
{
    struct web_listener *listener = owner;
    if (web_connections_are_too_many(&listener->timeouts.callers, (const struct sockaddr *)from)) {
        close(descriptor);
        return;
    }
    web_timeouts_make_room(&listener->timeouts);
    /* closes it on failure */
    MHD_add_connection(listener->daemon, descriptor, (const struct sockaddr *)from, length);
    go_on(listener);
}

/* The same TLS settings as smtpd's (io/tls.c), for GnuTLS. */
static const char priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA"
    ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"
    ":-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:+AES-128-CBC:+AES-256-CBC"
    ":-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%SERVER_PRECEDENCE";

static bool start_listener(struct web *web, struct web_listener *listener, bool in_tls, struct error *error)
{
    if (listener->listening < 0)
        return true;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)priorities},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)buffer_text(&web->certificate)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)buffer_text(&web->key)},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem clear[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | (in_tls ? MHD_USE_TLS : 0);
    listener->web = web;
    web_timeouts_start(&listener->timeouts, web->child->loop);
    listener->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(WEB_CONNECTIONS_MAX + WEB_CONNECTIONS_SPARE), MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)WEB_CONNECTIONS_PER_CLIENT_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)WEB_PATIENCE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)WEB_REQUEST_ROOM, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, web_timeouts_changed, &listener->timeouts,
        MHD_OPTION_ARRAY, in_tls ? tls : clear, MHD_OPTION_END);
    if (listener->daemon == NULL)
        return error_set(error, EX_UNAVAILABLE, "the web service cannot start%s",
                         in_tls ? "; is the certificate in tls.certificate suitable?" : "");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    timer_start(&listener->timer, web->child->loop, go_on, listener);
    watch_start(&listener->watch, web->child->loop, info->epoll_fd, true, false, on_ready, listener);
    if (!in_tls) /* with TLS others come first: see alpn_demux.c */
        acceptor_start(&listener->acceptor, web->child->loop, listener->listening, web_serve, listener);
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

static bool read_whole(const char *path, struct buffer *out, struct error *error)
{
    char buffer[4096];
    ssize_t count;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    while (file >= 0 && (count = read(file, buffer, sizeof buffer)) > 0)
        buffer_add(out, bytes_of(buffer, (size_t)count));
    if (file >= 0)
        close(file);
    return out->length > 0 || error_set_errno(error, EX_NOINPUT, "cannot read %s", path);
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
    *web = (struct web){.child = child};
    child->service_data = web;
    setpriority(PRIO_PROCESS, 0, WEB_NICE);
    find_facts(web);
    web->facts = web->configured;
    if (!listen_on(config->web.address, config->web.port, &web->clear.listening, error) ||
        !listen_on(config->web.address, config->web.tls_port, &web->secured.listening, error))
        return false;
    /* without it profiles are not signed */
    tls_signer_open(&web->signer, config->tls.certificate, config->tls.key);
    return config->web.tls_port == 0 || (read_whole(config->tls.certificate, &web->certificate, error) &&
                                         read_whole(config->tls.key, &web->key, error));
}

static bool web_start(struct child *child, struct error *error)
{
    struct web *web = child->service_data;
    if (!start_listener(web, &web->clear, false, error) || !start_listener(web, &web->secured, true, error))
        return false;
    timer_start(&web->examine, child->loop, published_ports_ask, web);
    alpn_demux_start(web);
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
    if (peer->peer == PROCESS_RELAY)
        published_ports_ask(child->service_data);
}

static void web_drain(struct child *child, bool quick)
{
    child_exit(child, EX_OK); /* interrupted requests are repeated by clients */
}

static uint32_t web_count(const struct config *config)
{
    return config->web.port != 0 || config->web.tls_port != 0;
}

const struct service web_service = {.role = PROCESS_WEB,
                                    .count = web_count,
                                    .stop = STOP_INTAKE,
                                    .keeps = SANDBOX_ACCEPTS,
                                    .open = web_open,
                                    .start = web_start,
                                    .on_message = web_message,
                                    .on_peer = web_peer,
                                    .on_drain = web_drain};
