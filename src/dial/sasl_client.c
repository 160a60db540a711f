/* SPDX-License-Identifier: Apache-2.0 */
#include "dial/sasl_client.h"

#include "io/random.h"
#include "io/saslprep.h"
#include "io/verifier.h"

/* Selects the best channel binding of the connection. */
static void answer_nonce(struct client_session *session, const struct conn *conn)
{
    unsigned char nonce[SCRAM_NONCE], buffer[CONN_BINDING_MAX];
    struct bytes name = BYTES(SCRAM_TLS_EXPORTER), binding = conn_tls_binding(conn, name, buffer);
    if (binding.length == 0) {
        name = BYTES(SCRAM_TLS_SERVER_END_POINT);
        binding = conn_tls_binding(conn, name, buffer);
    }
    random_fill(nonce, sizeof nonce);
    client_session_answer_nonce(session, bytes_of(nonce, sizeof nonce),
                                binding.length > 0 ? name : bytes_none(), binding);
}

static void answer_proof(struct client_session *session, const struct client_scram *scram)
{
    struct verifier_keys keys;
    uint8_t proof[SCRAM_KEY], signature[SCRAM_KEY];
    char buffer[SASLPREP_MAX + 1];
    verifier_derive(&keys, saslprep(scram->password, buffer), scram->salt, scram->iterations);
    verifier_prove(&keys, scram->message, proof);
    verifier_sign(&keys.verifier, scram->message, signature);
    client_session_answer_proof(session, proof, signature);
    explicit_bzero(&keys, sizeof keys);
    explicit_bzero(buffer, sizeof buffer);
}

bool sasl_client_answer(struct client_session *session, const struct client_action *action,
                        const struct conn *conn)
{
    if (action->kind == CLIENT_ASK_NONCE)
        answer_nonce(session, conn);
    else if (action->kind == CLIENT_ASK_PROOF)
        answer_proof(session, &action->scram);
    return action->kind == CLIENT_ASK_NONCE || action->kind == CLIENT_ASK_PROOF;
}
