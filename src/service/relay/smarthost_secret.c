/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smarthost_secret: the smarthost's password, or OAuth 2 token, printed by a command. The sandboxed relay
 * cannot run it; it asks the supervisor, and messages for the smarthost wait meanwhile.
 */
#include <stdlib.h>

#include "io/clock.h"
#include "io/log.h"
#include "service/relay/relay.h"

static bool is_by_token(const struct relay *relay)
{
    return relay->child->config->relay.smarthost.token_command != NULL;
}

static bool is_by_command(const struct outbound_connection *connection)
{
    const struct relay *relay = connection->relay;
    return connection->route.by_smarthost &&
           (is_by_token(relay) || relay->child->config->relay.smarthost.password_command != NULL);
}

bool smarthost_secret_must_wait(struct outbound_connection *connection)
{
    struct relay *relay = connection->relay;
    uint64_t now_ms = clock_now_ms();
    bool fresh = relay->secret.length > 0 &&
                 (!is_by_token(relay) || now_ms - relay->secret_ms < SECRET_FRESH_MS);
    if (!is_by_command(connection) || fresh)
        return false;
    connection->stage = OUTBOUND_AWAITS_SECRET;
    if (!relay->secret_asked)
        child_send_supervisor(relay->child, IPC_SECRET, &(struct ipc_nothing){0});
    relay->secret_asked = true;
    return true;
}

void smarthost_secret_forget(struct outbound_connection *connection)
{
    buffer_wipe(&connection->route.secret);
}

/* Copies it into the connection, whose session outlives the next secret. */
void smarthost_secret_give(struct outbound_connection *connection, struct delivery_options *options)
{
    if (!is_by_command(connection))
        return;
    smarthost_secret_forget(connection);
    buffer_add(&connection->route.secret, buffer_bytes(&connection->relay->secret));
    *(is_by_token(connection->relay) ? &options->token
                                     : &options->password) = buffer_bytes(&connection->route.secret);
}

static void wipe(struct relay *relay)
{
    buffer_wipe(&relay->secret);
}

void smarthost_secret_refused(struct outbound_connection *connection)
{
    struct bytes was = buffer_bytes(&connection->route.secret);
    if (is_by_command(connection) && bytes_equal(was, buffer_bytes(&connection->relay->secret)))
        wipe(connection->relay); /* the next message requests a new one */
}

void smarthost_secret_answered(struct relay *relay, const struct ipc_secret_answer *answer)
{
    relay->secret_asked = false;
    wipe(relay);
    buffer_add(&relay->secret, answer->secret);
    relay->secret_ms = clock_now_ms();
    for (struct outbound_connection *connection = relay->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        if (connection->stage != OUTBOUND_AWAITS_SECRET)
            continue;
        if (answer->secret.length > 0)
            outbound_go(connection);
        else
            outbound_defer(connection, answer->why);
    }
}
