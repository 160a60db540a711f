/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit_query: how much an account, or a local user, may send in an hour. Auth
 * counts (auth/sending_limits.c): it is asked whether anything fits when a message
 * begins, and for the message itself when its envelope is complete. What was
 * counted then is settled when the message is stored, and given back when it
 * is not: refused, dropped, or its client gone.
 */
#include "service/smtpd/smtpd.h"

bool limit_applies(const struct config *config, enum server_role role)
{
    const struct config_local_user *users = config->submission.local.users;
    switch (role) {
    case ROLE_MX: return false;
    case ROLE_SUBMISSION:
        return config->submission.messages_per_hour != 0 || config->submission.recipients_per_hour != 0;
    case ROLE_LOCAL: break;
    }
    for (size_t i = 0; i < config->submission.local.user_count; i++)
        if (users[i].messages_per_hour != 0 || users[i].recipients_per_hour != 0)
            return true;
    return config->submission.local.messages_per_hour != 0 ||
           config->submission.local.recipients_per_hour != 0;
}

bool limit_ask(struct smtp_connection *connection, struct channel *auth, uint64_t request)
{
    const struct server_action *action = &connection->query.action;
    bool looks = action->kind != SERVER_ASK_LIMIT; /* at MAIL */
    struct ipc_limit asked = {.request = request,
                              .account = action->account,
                              .recipients = looks ? 0 : (uint32_t)action->envelope->recipient_count};
    return child_send(connection->smtpd->child, auth, IPC_LIMIT, &asked, -1);
}

static void send_end(struct smtpd *smtpd, uint64_t request, bool sent)
{
    struct channel *auth = child_peer(smtpd->child, PROCESS_AUTH);
    if (auth != NULL) /* else it counts as sent */
        child_send(smtpd->child, auth, IPC_LIMIT_END,
                   &(struct ipc_limit_end){.request = request, .sent = sent}, -1);
}

void limit_answered_after_close(struct smtpd *smtpd, const struct ipc_limit_answer *answer)
{
    if (answer->verdict == LIMIT_FINE)
        send_end(smtpd, answer->request, false);
}

void limit_end(struct smtp_connection *connection, bool sent)
{
    if (connection->limit_request != 0)
        send_end(connection->smtpd, connection->limit_request, sent);
    connection->limit_request = 0;
}
