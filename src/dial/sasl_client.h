/* SPDX-License-Identifier: Apache-2.0 */
/* sasl_client: answers the questions of a client session during SCRAM. */
#ifndef MAILBOAT_DIAL_SASL_CLIENT_H
#define MAILBOAT_DIAL_SASL_CLIENT_H

#include "core/client/client_session.h"
#include "io/conn.h"

/* Answers CLIENT_ASK_NONCE and CLIENT_ASK_PROOF immediately; false for other actions. */
bool sasl_client_answer(struct client_session *session, const struct client_action *action,
                        const struct conn *conn);

#endif
