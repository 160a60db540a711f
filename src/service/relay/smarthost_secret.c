/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smarthost_secret: what the smarthost is signed in to with, where a program prints it:
 * a password, or a token of OAuth 2. This process can run none; it asks the
 * supervisor, and messages for the smarthost wait meanwhile.
 */
#include "service/relay/relay.h"

#include "io/clock.h"
#include "io/log.h"

#include <stdlib.h>

static bool is_by_token(const struct relay *relay)
{
    return relay->child->config->relay.smarthost.token_command != NULL;
}

static bool is_by_command(const struct carrier *carrier)
{
    const struct relay *relay = carrier->relay;
    return carrier->by_smarthost &&
           (is_by_token(relay) || relay->child->config->relay.smarthost.password_command != NULL);
}

bool secret_must_wait(struct carrier *carrier)
{
    struct relay *relay = carrier->relay;
    uint64_t now_ms = clock_now_ms();
    bool fresh = relay->secret.length > 0 && (!is_by_token(relay) || now_ms - relay->secret_ms < SECRET_FRESH_MS);
    if (!is_by_command(carrier) || fresh)
        return false;
    carrier->wants_secret = true;
    if (!relay->secret_asked)
        child_tell_supervisor(relay->child, IPC_SECRET, &(struct ipc_nothing){0});
    relay->secret_asked = true;
    return true;
}

void secret_forget(struct carrier *carrier)
{
    buffer_wipe(&carrier->secret);
}

/* A copy of the carrier's own: its session outlives the next secret. */
void secret_give(struct carrier *carrier, struct delivery_options *options)
{
    if (!is_by_command(carrier))
        return;
    secret_forget(carrier);
    buffer_add(&carrier->secret, buffer_bytes(&carrier->relay->secret));
    *(is_by_token(carrier->relay) ? &options->token : &options->password) = buffer_bytes(&carrier->secret);
}

static void wipe(struct relay *relay)
{
    buffer_wipe(&relay->secret);
}

void secret_refused(struct carrier *carrier)
{
    struct bytes was = buffer_bytes(&carrier->secret);
    if (is_by_command(carrier) && bytes_equal(was, buffer_bytes(&carrier->relay->secret)))
        wipe(carrier->relay); /* the next message has a new one fetched */
}

void secret_answered(struct relay *relay, const struct ipc_secret_answer *answer)
{
    relay->secret_asked = false;
    wipe(relay);
    buffer_add(&relay->secret, answer->secret);
    relay->secret_ms = clock_now_ms();
    for (;;) { /* a carrier may end itself meanwhile */
        struct carrier *carrier = relay->carriers;
        while (carrier != NULL && !carrier->wants_secret)
            carrier = carrier->next;
        if (carrier == NULL)
            return;
        carrier->wants_secret = false;
        if (answer->secret.length > 0)
            carrier_go(carrier);
        else
            carrier_defer(carrier, answer->why);
    }
}
