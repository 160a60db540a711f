/* SPDX-License-Identifier: Apache-2.0 */
/* sasl_client: what a client session asks while it signs in by SCRAM. */
#ifndef MAILBOAT_DIAL_SASL_CLIENT_H
#define MAILBOAT_DIAL_SASL_CLIENT_H

#include "core/client/client_session.h"
#include "io/conn.h"

/* Answers CLIENT_ASK_NONCE and CLIENT_ASK_PROOF at once; false when the action is another. */
bool sasl_client_answer(struct client_session *session, const struct client_action *action,
                        const struct conn *conn);

#endif
