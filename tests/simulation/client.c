/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <stdio.h>

static void run(struct client *client);

static bool has_more(struct client *client)
{
    client->envelope = (struct envelope){.sender = client->letter->sender,
                                         .size = client->letter->content.length,
                                         .recipients = client->recipients};
    for (size_t i = 0; i < client->letter->recipient_count; i++)
        if (!client->letter->recipients[i].promised && !(client->letter->by_list && i > 0)) {
            client->offered[client->envelope.recipient_count] = i;
            client->recipients[client->envelope.recipient_count++] = (struct recipient){
                .address = client->letter->recipients[i].address};
        }
    if (client->letter->by_list) {
        snprintf(client->list, sizeof client->list, "list%u@here.test", client->letter->number);
        client->recipients[0].address = bytes_of_text(client->list);
    }
    return client->envelope.recipient_count > 0;
}

static void hang_up(struct client *client)
{
    if (!client->open)
        return;
    client->open = false;
    alarm_cancel(&client->silence);
    end_close(client->end);
    client_session_free(&client->session);
    alarm_set(&client->again, 1000 + world_random(client->letters->world, 60 * 1000));
}

static void on_input(void *owner)
{
    run(owner);
}

static void failed(struct client *client, struct bytes why)
{
    if (client->given && !client->sent)
        letters_uncertain(client->letters, client->letter->content,
                          "the client does not know whether it was accepted");
    client_session_failed(&client->session, client_session_step(&client->session), why);
    run(client);
}

static void on_end(void *owner)
{
    struct client *client = owner;
    if (client->open)
        failed(client, BYTES("the connection ended"));
}

static void on_silence(void *owner)
{
    struct client *client = owner;
    if (client->open)
        failed(client, BYTES("timed out"));
}

static void take_results(struct client *client, const struct client_action *action)
{
    client->sent = true;
    for (size_t i = 0; i < action->result_count; i++)
        if (action->results[i].outcome == OUTCOME_DELIVERED) {
            client->letter->recipients[client->offered[i]].promised = true;
            for (size_t k = 0; client->letter->by_list && k < client->letter->recipient_count; k++)
                client->letter->recipients[k].promised = true;
            world_say(client->letters->world, "letter %u is promised to %.*s", client->letter->number,
                      BYTES_ARG(client->recipients[i].address));
        }
}

static void act(struct client *client, const struct client_action *action)
{
    switch (action->kind) {
    case CLIENT_SEND: end_send(client->end, action->bytes); break;
    case CLIENT_READY:
        if (client->sent)
            client_session_quit(&client->session);
        else
            client_session_send(&client->session, &client->envelope);
        break;
    case CLIENT_WANT_CONTENT:
        client->given = true;
        client_session_content(&client->session, client->letter->content, true);
        break;
    case CLIENT_SENT: take_results(client, action); break;
    case CLIENT_ASK_NONCE: /* nobody signs in here */
    case CLIENT_ASK_PROOF:
    case CLIENT_STARTTLS:
    case CLIENT_FAILED:
    case CLIENT_CLOSE: hang_up(client); break;
    case CLIENT_NOTHING: break;
    }
}

static void run(struct client *client)
{
    struct client_action action;
    size_t used = 1;
    while (client->open && used > 0) {
        while (client->open && client_session_action(&client->session, &action))
            act(client, &action);
        if (!client->open)
            return;
        used = client_session_feed(&client->session, buffer_bytes(&client->end->input));
        buffer_consume(&client->end->input, used);
        if (used == 0 && client_session_action(&client->session, &action)) {
            act(client, &action);
            used = 1;
        }
    }
    if (client->open)
        alarm_set(&client->silence, client_session_timeout_ms(&client->session));
}

static void try(void *owner)
{
    struct client *client = owner;
    if (!has_more(client))
        return;
    struct client_options options = {.helo = BYTES("client.test"), .tls = CLIENT_TLS_NEVER};
    client->end = client->connect(client->owner);
    if (client->end == NULL) {
        alarm_set(&client->again, 1000 + world_random(client->letters->world, 10000));
        return;
    }
    client->end->on_input = on_input;
    client->end->on_end = on_end;
    client->end->owner = client;
    client->given = client->sent = false;
    client->open = true;
    client_session_start(&client->session, &options);
    run(client);
}

void client_begin(struct client *client, struct letters *letters, struct letter *letter,
                  struct end *(*connect)(void *owner), void *owner)
{
    *client = (struct client){.letters = letters, .letter = letter, .connect = connect, .owner = owner};
    alarm_start(&client->again, letters->world, try, client);
    alarm_start(&client->silence, letters->world, on_silence, client);
    alarm_set(&client->again,
              world_random(letters->world, world_random(letters->world, 2) == 0 ? 5000 : 500 * 1000));
}

void client_end(struct client *client)
{
    hang_up(client);
}
