/* SPDX-License-Identifier: Apache-2.0 */
#include "service/relay/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/secret_file.h"
#include "core/port/port_order.h"
#include "core/trust/report_message.h"
#include "io/clock.h"
#include "io/https.h"
#include "io/log.h"
#include "io/random.h"
#include "service/report_sending.h"
#include "service/services.h"

static struct relay here; /* one per process */

/* ---- options of a destination ---- */

static enum client_tls smarthost_tls(const struct config *config)
{
    switch (config->relay.smarthost.tls) {
    case SMARTHOST_TLS_STARTTLS: return CLIENT_TLS_REQUIRED;
    case SMARTHOST_TLS_IMPLICIT: return CLIENT_TLS_IMPLICIT;
    case SMARTHOST_TLS_NONE: return CLIENT_TLS_NEVER;
    case SMARTHOST_TLS_AUTO: break;
    }
    const struct submission_port *usual = port_order_of(config->relay.smarthost.port);
    return usual != NULL ? usual->tls : CLIENT_TLS_REQUIRED;
}

static void smarthost_options(const struct relay *relay, struct delivery_options *options)
{
    const struct config *config = relay->child->config;
    options->domain = bytes_of_text(config->relay.smarthost.host);
    options->smarthost = options->verify = true;
    options->user = bytes_of_text(config->relay.smarthost.user);
    options->password = buffer_bytes(&relay->password);
    bool is_auto = config->relay.smarthost.port == 0;
    options->port = is_auto ? relay->smarthost.port : config->relay.smarthost.port;
    options->tls = is_auto ? relay->smarthost.tls : smarthost_tls(config);
}

/* Sets the options of a host named by a rule. */
static void host_options(const struct route_rule *rule, struct delivery_options *options)
{
    static const enum client_tls tls[] = {[RULE_TLS_MAY] = CLIENT_TLS_OPPORTUNISTIC,
                                          [RULE_TLS_ENCRYPT] = CLIENT_TLS_REQUIRED,
                                          [RULE_TLS_VERIFY] = CLIENT_TLS_REQUIRED,
                                          [RULE_TLS_IMPLICIT] = CLIENT_TLS_IMPLICIT,
                                          [RULE_TLS_NONE] = CLIENT_TLS_NEVER};
    options->domain = bytes_of_text(rule->host);
    options->smarthost = true;
    options->verify = rule->tls == RULE_TLS_VERIFY || rule->tls == RULE_TLS_IMPLICIT;
    options->port = rule->port;
    options->tls = tls[rule->tls];
}

struct delivery_options relay_options(const struct outbound_connection *connection)
{
    struct relay *relay = connection->relay;
    const struct config *config = relay->child->config;
    struct bytes destination = bytes_of(connection->destination, connection->destination_length);
    struct delivery_options options = {.hostname = bytes_of_text(config->hostname),
                                       .domain = destination,
                                       .random = random_u64(),
                                       .signs = true,
                                       .own = own_addresses_now(relay),
                                       .fallback = &relay->fallback};
    if (connection->route.by_smarthost) {
        smarthost_options(relay, &options);
    } else if (connection->route.rule != NULL && connection->route.rule->via == RELAY_HOST) {
        host_options(connection->route.rule, &options);
    } else {
        options.port = config->relay.port;
        options.tls = CLIENT_TLS_OPPORTUNISTIC;
        options.wish = config_tls_wish(config, destination);
        if (connection->message.any_tls && options.wish == WISH_AUTO) /* RFC 8460 5.3.1 */
            options.wish = WISH_MAY;
    }
    return options;
}

/* ---- results ---- */

/* Collects the TLS state from the connection and its delivery. */
static struct tls_result tls_of(const struct outbound_connection *connection)
{
    struct tls_result decided = delivery_tls_result(&connection->delivery), tls = connection->peer.tls;
    tls.level = decided.level;
    tls.level_reason = decided.level_reason;
    if (tls.protocol == TLS_PROTOCOL_NONE)
        tls.clear_reason = decided.clear_reason;
    return tls;
}

/* Logs what an MTA-STS policy in testing mode would have prevented (RFC 8461 5). */
static void log_test(const struct outbound_connection *connection, struct bytes peer,
                     const struct tls_result *tls)
{
    struct buffer text = {0};
    bool secured = tls->protocol != TLS_PROTOCOL_NONE;
    bool listed = connection->delivery.tls.facts.sts != NULL &&
                  sts_lists(connection->delivery.tls.facts.sts, connection->delivery.host);
    if (tls->level != TLS_LEVEL_STS_TESTING || (listed && tls_result_is_verified(tls)))
        return;
    if (secured)
        tls_result_text(tls, &text);
    log_event(LOG_EVENT_WARN, "sts_testing_failed", LOG_BYTES("domain", connection->delivery.options.domain),
              LOG_BYTES("peer", peer), LOG_BYTES("tls", buffer_bytes(&text)),
              LOG_TEXT("reason", !listed    ? "the policy does not list the host"
                                 : !secured ? "the connection has no TLS"
                                            : "the certificate is not valid"));
    buffer_free(&text);
}

/* One reason for all: nothing was said about any of them. */
static void add_cause(struct outbound_connection *connection, struct delivery_result *results, size_t count)
{
    struct buffer reason = {0};
    if (count == 0)
        return;
    buffer_add(&reason, results[0].text);
    relay_cause_add(connection, &results[0], &reason);
    for (size_t i = count; i-- > 0 && reason.length > results[0].text.length;)
        if (results[i].code == 0 && results[i].outcome == OUTCOME_DEFERRED)
            results[i].text = arena_copy(&connection->message.arena, buffer_bytes(&reason));
    buffer_free(&reason);
}

void relay_answer(struct relay *relay, struct outbound_connection *connection,
                  const struct delivery_result *results, size_t count)
{
    struct buffer peer = {0};
    struct ipc_deliver_answer answer = {
        .delivery = connection->message.number, .tls = tls_of(connection), .result_count = count};
    answer.results = memory_new((count + 1) * sizeof *answer.results);
    memcpy(answer.results, results, count * sizeof *results);
    add_cause(connection, answer.results, count);
    delivery_peer(&connection->delivery, &peer);
    answer.peer = buffer_bytes(&peer);
    log_test(connection, answer.peer, &answer.tls);
    if (connection->message.from != NULL)
        child_send(relay->child, connection->message.from, IPC_DELIVER_ANSWER, &answer, -1);
    buffer_free(&peer);
    free(answer.results);
}

/* ---- idle connections ---- */

static struct bytes key_of(const struct outbound_connection *connection)
{
    return bytes_of(connection->destination, connection->destination_length);
}

void relay_add_idle(struct relay *relay, struct outbound_connection *connection)
{
    connection->idle_next = map_get(&relay->idle, key_of(connection));
    map_put(&relay->idle, key_of(connection), connection);
}

void relay_remove_idle(struct relay *relay, struct outbound_connection *connection)
{
    struct outbound_connection *first = map_get(&relay->idle, key_of(connection));
    if (first != connection) {
        while (first->idle_next != connection)
            first = first->idle_next;
        first->idle_next = connection->idle_next;
    } else if (connection->idle_next != NULL) {
        map_put(&relay->idle, key_of(connection), connection->idle_next);
    } else {
        map_remove(&relay->idle, key_of(connection));
    }
}

/* ---- the service ---- */

/* ---- the clock ---- */

static void begin_anew(struct relay *relay);

/* libunbound uses the wall clock. If that jumps back, its cache entries (an address, or a failure) live
 * longer by the jump, and its queries wait as long. Its cache cannot be emptied: a fresh process starts
 * with an empty one. */
static void look_at_clock(struct relay *relay)
{
    int64_t ahead_ms = (int64_t)clock_epoch_ms() - (int64_t)clock_boot_ms();
    bool jumped_back = ahead_ms < relay->wall_ahead_ms - RELAY_CLOCK_BACK_MS;
    relay->wall_ahead_ms = ahead_ms;
    if (jumped_back && !relay->draining)
        begin_anew(relay);
}

static void look_again(void *owner)
{
    struct relay *relay = owner;
    look_at_clock(relay);
    if (relay->busy_count > 0)
        timer_set(&relay->clock_look, RELAY_CLOCK_LOOK_MS);
}

static void relay_message(struct child *child, struct channel *from, enum ipc_kind kind,
                          union ipc_message *message, int attached)
{
    struct relay *relay = child->service_data;
    const struct ipc_deliver *deliver = &message->deliver;
    if (kind == IPC_EXAMINE && !relay->draining)
        port_self_check_start(relay, from);
    if (kind == IPC_SIGN_ANSWER)
        signatures_answered(&relay->signatures, &message->sign_answer);
    if (kind != IPC_DELIVER || deliver->envelope.recipient_count == 0) {
        if (attached >= 0)
            close(attached);
        return;
    }
    if (!child_has_content(child, from, deliver, attached))
        return;
    look_at_clock(relay);
    if (relay->anew) { /* unanswered requests are left to the successor */
        if (attached >= 0)
            close(attached);
        return;
    }
    timer_set(&relay->clock_look, RELAY_CLOCK_LOOK_MS);
    struct outbound_connection *idle = map_get(&relay->idle, deliver->destination);
    while (idle != NULL && !delivery_suits(&idle->delivery, &deliver->envelope))
        idle = idle->idle_next;
    if (idle != NULL)
        outbound_next(idle, from, deliver, attached);
    else
        outbound_start(relay, from, deliver, attached);
}

/* Its successor will request the same deliveries again: unfinished ones are aborted now, to avoid
 * duplicates. */
static void relay_peer_lost(struct child *child, struct channel *peer)
{
    struct relay *relay = child->service_data;
    if (peer->peer == PROCESS_SIGN)
        signatures_peer_lost(&relay->signatures);
    port_self_check_forget(relay, peer);
    for (struct outbound_connection *connection = relay->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        if (connection->message.from == peer)
            connection->message.from = NULL;
        if (connection->message.number != 0 && connection->message.from == NULL &&
            !connection->message.given_all)
            outbound_cut(connection);
    }
}

static void relay_peer(struct child *child, struct channel *peer)
{
    struct relay *relay = child->service_data;
    if (peer->peer == PROCESS_SIGN)
        signatures_peer(&relay->signatures);
}

/* In memory: a sandboxed process opens no file. */
static bool read_authorities(struct relay *relay, struct error *error)
{
    const char *name = relay->child->config->relay.ca_file;
    FILE *file = fopen(name == NULL ? "/etc/ssl/certs/ca-certificates.crt" : name, "re");
    size_t got = file == NULL ? 0 : 1;
    while (got > 0 && relay->authorities.length < AUTHORITIES_MAX) {
        got = fread(buffer_reserve(&relay->authorities, 65536), 1, 65536, file);
        buffer_written(&relay->authorities, got);
    }
    if (file != NULL)
        fclose(file);
    return name == NULL || file != NULL || error_set(error, EX_CONFIG, "relay.ca_file: cannot read %s", name);
}

/* Only the process that authenticates with it reads the password. */
static bool read_password(struct relay *relay, struct error *error)
{
    const char *file = relay->child->config->relay.smarthost.password_file;
    return file == NULL || secret_file_read("relay.smarthost.password_file", file, &relay->password, error);
}

static struct dns *open_dns(const struct config *config, struct error *error)
{
    if (config->resolver.dnssec == DNSSEC_OFF)
        return dns_open(config->resolver.servers, config->resolver.server_count, error);
    return dns_open_validating(config->resolver.servers, config->resolver.server_count,
                               config->resolver.trust_anchor, config->resolver.dnssec == DNSSEC_REQUIRED,
                               error);
}

static bool relay_open(struct child *child, struct error *error)
{
    struct relay *relay = &here;
    const struct config *config = child->config;
    *relay = (struct relay){.child = child};
    child->service_data = relay;
    map_start(&relay->idle, random_u64());
    if (!tls_client_open(&relay->tls, config->relay.ca_file, error) || !read_authorities(relay, error) ||
        !read_password(relay, error) || !sts_policies_open_folder(&relay->folder, config->data_dir, error) ||
        !https_prepare(error))
        return false;
    tls_client_resume(&relay->tls);
    relay->dns = open_dns(config, error);
    if (relay->dns != NULL)
        dns_be_patient(relay->dns);
    return relay->dns != NULL;
}

static bool relay_open_own(struct child *child, struct error *error)
{
    struct relay *relay = child->service_data;
    struct error fault = {0};
    bool reports = config_sends_reports(child->config, report_kind_name(REPORT_KIND_TLS));
    if (!tls_counts_open(&relay->tls_counts, reports, &relay->folder, &fault)) {
        log_event(LOG_EVENT_ERROR, "tls_counts_write_failed", LOG_TEXT("error", fault.text));
        relay->tls_counts.counts_sessions = false;
    }
    return sts_policies_open(&relay->policies, &relay->folder, error);
}

/* The successor of queue or relay retries the deliveries aborted here. */
static void drain_limit_passed(void *owner)
{
    struct relay *relay = owner;
    child_exit(relay->child, relay->anew ? EX_TEMPFAIL : EX_OK);
}

static bool relay_start(struct child *child, struct error *error)
{
    struct relay *relay = child->service_data;
    relay->wall_ahead_ms = (int64_t)clock_epoch_ms() - (int64_t)clock_boot_ms();
    timer_start(&relay->clock_look, child->loop, look_again, relay);
    timer_start(&relay->drained, child->loop, drain_limit_passed, relay);
    signatures_start(&relay->signatures, child, random_u64(), outbound_signed);
    relay_route_start(relay);
    tls_counts_start(&relay->tls_counts, child->loop);
    return dns_start(relay->dns, child->loop, error) &&
           sts_policies_start(&relay->policies, child->loop, relay->dns, buffer_bytes(&relay->authorities),
                              error);
}

void relay_leave_if_done(struct relay *relay)
{
    if (relay->draining && relay->busy_count == 0)
        child_exit(relay->child, relay->anew ? EX_TEMPFAIL : EX_OK);
}

static void relay_drain(struct child *child, bool quick)
{
    struct relay *relay = child->service_data;
    relay->draining = true;
    smarthost_stop(relay);
    port_self_check_stop(relay);
    child_deafen(child);
    timer_set(&relay->drained, RELAY_DRAIN_MS);
    for (struct outbound_connection *connection = relay->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        if (connection->stage == OUTBOUND_IDLE)
            outbound_quit(connection);
        else if (connection->stage == OUTBOUND_AWAITS_PORT || connection->stage == OUTBOUND_AWAITS_SECRET)
            outbound_cut(connection); /* nothing of it has been sent */
    }
    relay_leave_if_done(relay);
}

/* Deliveries connected to a peer may finish; the successor handles the rest. */
static void begin_anew(struct relay *relay)
{
    log_event(
        LOG_EVENT_WARN, "clock_jumped", LOG_TEXT("direction", "back"),
        LOG_TEXT("hint",
                 "the process restarts, since the resolver depends on the clock; fix this machine's clock"));
    relay->anew = true;
    for (struct outbound_connection *connection = relay->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        if (connection->stage == OUTBOUND_AWAITS_ANSWER)
            outbound_cut(connection);
    }
    relay_drain(relay->child, false);
}

static void relay_end(struct child *child)
{
    struct relay *relay = child->service_data;
    tls_counts_end(&relay->tls_counts);
}

static void relay_supervisor(struct child *child, enum ipc_kind kind, const union ipc_message *message)
{
    if (kind == IPC_SECRET_ANSWER)
        smarthost_secret_answered(child->service_data, &message->secret_answer);
}

/* Returns the command that prints the smarthost's password or token. */
static struct service_command relay_command(const struct config *config)
{
    const char *token = config->relay.smarthost.token_command;
    return token != NULL ? (struct service_command){token, "relay.smarthost.token_command"}
                         : (struct service_command){config->relay.smarthost.password_command,
                                                    "relay.smarthost.password_command"};
}

const struct service relay_service = {
    .role = PROCESS_RELAY,
    .stop = STOP_DELIVERY,
    .keeps = SANDBOX_CALLS_OUT | SANDBOX_HAS_THREADS,
    .folder = "relay",
    .resolves = true,
    .command = relay_command,
    .tend = report_sending_chore,
    .open = relay_open,
    .open_own = relay_open_own,
    .start = relay_start,
    .on_message = relay_message,
    .on_peer = relay_peer,
    .on_peer_lost = relay_peer_lost,
    .on_drain = relay_drain,
    .on_end = relay_end,
    .on_supervisor = relay_supervisor,
};
