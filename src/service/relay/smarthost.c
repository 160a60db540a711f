/* SPDX-License-Identifier: Apache-2.0 */
#include "service/relay/relay.h"

#include "io/log.h"

#include <stdlib.h>

bool smarthost_is_auto(const struct carrier *carrier)
{
    return carrier->by_smarthost && carrier->relay->child->config->relay.smarthost.port == 0;
}

/* ---- the race ---- */

static struct dialing_options race_options(const struct relay *relay)
{
    static const struct race_port all[] = {{587, CLIENT_TLS_REQUIRED}, {2525, CLIENT_TLS_REQUIRED}, {465, CLIENT_TLS_IMPLICIT}, {RACE_LAST_PORT, CLIENT_TLS_IMPLICIT}};
    const struct config *config = relay->child->config;
    struct dialing_options options = {.host = config->relay.smarthost.host, .helo = bytes_of_text(config->hostname),
                                      .needs_auth = config->relay.smarthost.user != NULL && config->relay.smarthost.user[0] != '\0', .own_ca = true, .last_resort = RACE_LAST_PORT,
                                      .by_token = config->relay.smarthost.token_command != NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        bool wanted = config->relay.smarthost.tls == SMARTHOST_TLS_AUTO || (config->relay.smarthost.tls == SMARTHOST_TLS_IMPLICIT) == (all[i].tls == CLIENT_TLS_IMPLICIT);
        if (wanted)
            options.ports[options.port_count++] = all[i];
    }
    return options;
}

static void found(struct relay *relay, struct buffer *words)
{
    const struct race_attempt *winner = &relay->finding->race.attempts[relay->finding->race.winner];
    relay->smarthost = (struct race_port){winner->port->port, winner->tls};
    race_explain(&relay->finding->race, words);
    log_event(LOG_EVENT_INFO, "port_chosen", LOG_TEXT("host", relay->child->config->relay.smarthost.host), LOG_U64("port", relay->smarthost.port),
              LOG_BYTES("reason", buffer_bytes(words)));
}

static void not_found(struct relay *relay, struct buffer *words)
{
    struct error error = {0};
    if (relay->finding->outcome == DIALING_UNRESOLVED) {
        resolving_tell(&relay->finding->resolving, relay->child->config->relay.smarthost.host, &error);
        buffer_add_text(words, error.text);
    } else {
        race_explain(&relay->finding->race, words);
    }
    log_event(LOG_EVENT_WARN, "no_port", LOG_TEXT("host", relay->child->config->relay.smarthost.host), LOG_BYTES("reason", buffer_bytes(words)));
}

/* Each carrier that waited goes on; a carrier may end itself meanwhile. */
static void wake_all(struct relay *relay, struct bytes why)
{
    for (;;) {
        struct carrier *carrier = relay->carriers;
        while (carrier != NULL && !carrier->waiting)
            carrier = carrier->next;
        if (carrier == NULL)
            return;
        carrier->waiting = false;
        if (relay->smarthost.port != 0)
            carrier_go(carrier);
        else
            carrier_defer(carrier, why);
    }
}

static void on_decided(void *owner)
{
    struct relay *relay = owner;
    struct buffer words = {0};
    if (relay->finding->outcome == DIALING_WON)
        found(relay, &words);
    else
        not_found(relay, &words);
    wake_all(relay, buffer_bytes(&words));
    buffer_free(&words);
    timer_set(&relay->found, 0); /* the race cannot be ended from within itself */
}

void smarthost_stop(struct relay *relay)
{
    if (relay->finding == NULL)
        return;
    timer_cancel(&relay->found);
    dialing_end(relay->finding);
    free(relay->finding);
    relay->finding = NULL;
}

static void race_is_done(void *owner)
{
    smarthost_stop(owner);
}

/* The winner's connection is not used: it only showed the way. */
static void ignore_line(void *owner)
{
}

static void ignore_line_end(void *owner, const char *why)
{
}

static void find(struct relay *relay)
{
    static const struct dialing_events events = {.on_decided = on_decided, .on_line = ignore_line, .on_line_end = ignore_line_end};
    if (relay->finding != NULL)
        smarthost_stop(relay);
    struct dialing_options options = race_options(relay);
    relay->finding = memory_new(sizeof *relay->finding);
    timer_start(&relay->found, relay->child->loop, race_is_done, relay);
    dialing_start(relay->finding, relay->child->loop, &relay->tls, relay->dns, &options, &events, relay);
}

/* ---- carriers that wait ---- */

static bool is_under_way(const struct relay *relay)
{
    return relay->finding != NULL && relay->finding->outcome == DIALING_UNDER_WAY;
}

bool smarthost_must_wait(struct carrier *carrier)
{
    struct relay *relay = carrier->relay;
    if (!smarthost_is_auto(carrier) || relay->smarthost.port != 0)
        return false;
    carrier->waiting = true;
    if (!is_under_way(relay))
        find(relay);
    return true;
}

/* Nothing was said about the message: the way to the server failed. */
static bool is_the_way(const struct client_result *result)
{
    return result->outcome == OUTCOME_DEFERRED && result->code == 0 && result->step <= STEP_AUTH;
}

bool smarthost_has_failed(struct carrier *carrier, const struct client_result *results, size_t count)
{
    struct relay *relay = carrier->relay;
    if (!smarthost_is_auto(carrier) || relay->draining || !is_the_way(&results[0]))
        return false;
    for (size_t i = 1; i < count; i++)
        if (!is_the_way(&results[i]))
            return false;
    if (relay->smarthost.port == carrier->delivery.options.port) /* nobody found another meanwhile */
        relay->smarthost.port = 0;
    if (carrier->waited)
        return false;
    carrier->waited = true;
    return true;
}
