/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ipc_message.h"

#include <assert.h>

#include "core/server/server_session.h"
#include "ipc/ipc_fields.h"

#define FIELDS(...)                                    \
    .fields = (const struct ipc_field[]){__VA_ARGS__}, \
    .field_count = ARRAY_LENGTH(((const struct ipc_field[]){__VA_ARGS__}))
#define AT(type, message, member)                            \
    {                                                        \
        FIELD_##type, offsetof(struct ipc_##message, member) \
    }
#define FROM(role) (1u << PROCESS_##role)

static const struct ipc_kind_row {
    const char *name;
    unsigned from, to; /* sets of enum process_role */
    const struct ipc_field *fields;
    size_t field_count;
    enum ipc_carries carries;
    bool is_secret;
    bool is_answer; /* never starts an exchange: needs no channel of its own */
} kinds[IPC_KINDS] = {
    [IPC_PEER] = {"peer", FROM(SUPERVISOR), ~0u,
                  FIELDS(AT(U32, peer, role), AT(U32, peer, number), AT(U64, peer, link)),
                  .carries = CARRIES_CHANNEL},
    [IPC_PEER_LOST] = {"peer-lost", ~0u, FROM(SUPERVISOR),
                       FIELDS(AT(U32, peer, role), AT(U32, peer, number), AT(U64, peer, link))},
    [IPC_DRAIN] = {"drain", FROM(SUPERVISOR), ~0u, FIELDS(AT(U8, drain, quick))},
    [IPC_READY] = {"ready", ~0u, FROM(SUPERVISOR), FIELDS(AT(U8, nothing, unused))},
    [IPC_PASSWORD] = {"password", FROM(SMTPD) | FROM(CLI), FROM(AUTH),
                      FIELDS(AT(U64, password, request), AT(BYTES, password, user),
                             AT(BYTES, password, password), AT(BYTES, password, client_address)),
                      .is_secret = true},
    [IPC_PASSWORD_ANSWER] = {"password-answer", FROM(AUTH), FROM(SMTPD) | FROM(CLI),
                             FIELDS(AT(U64, password_answer, request), AT(U32, password_answer, verdict),
                                    AT(BYTES, password_answer, account),
                                    AT(BYTES, password_answer, credential)),
                             .is_answer = true},
    [IPC_SALT] = {"salt", FROM(SMTPD), FROM(AUTH), FIELDS(AT(U64, salt, request), AT(BYTES, salt, user))},
    [IPC_SALT_ANSWER] = {"salt-answer", FROM(AUTH), FROM(SMTPD),
                         FIELDS(AT(U64, salt_answer, request), AT(BYTES, salt_answer, salt),
                                AT(U32, salt_answer, iterations)),
                         .is_answer = true},
    [IPC_PROOF] = {"proof", FROM(SMTPD), FROM(AUTH),
                   FIELDS(AT(U64, proof, request), AT(BYTES, proof, user), AT(BYTES, proof, message),
                          AT(BYTES, proof, proof), AT(BYTES, proof, client_address)),
                   .is_secret = true},
    [IPC_PROOF_ANSWER] = {"proof-answer", FROM(AUTH), FROM(SMTPD),
                          FIELDS(AT(U64, proof_answer, request), AT(U32, proof_answer, verdict),
                                 AT(BYTES, proof_answer, account), AT(BYTES, proof_answer, signature),
                                 AT(BYTES, proof_answer, credential)),
                          .is_answer = true},
    [IPC_CREDENTIAL] = {"credential", FROM(SMTPD), FROM(AUTH),
                        FIELDS(AT(U64, credential, request), AT(BYTES, credential, account),
                               AT(BYTES, credential, credential))},
    [IPC_CREDENTIAL_ANSWER] = {"credential-answer", FROM(AUTH), FROM(SMTPD),
                               FIELDS(AT(U64, credential_answer, request),
                                      AT(U32, credential_answer, verdict)),
                               .is_answer = true},
    [IPC_SECRET] = {"secret", FROM(RELAY), FROM(SUPERVISOR), FIELDS(AT(U8, nothing, unused))},
    [IPC_SECRET_ANSWER] = {"secret-answer", FROM(SUPERVISOR), FROM(RELAY),
                           FIELDS(AT(BYTES, secret_answer, secret), AT(BYTES, secret_answer, why)),
                           .is_secret = true, .is_answer = true},
    [IPC_LIMIT] = {"limit", FROM(SMTPD) | FROM(PICKUP), FROM(AUTH),
                   FIELDS(AT(U64, limit, request), AT(BYTES, limit, account), AT(U32, limit, recipients))},
    [IPC_LIMIT_ANSWER] = {"limit-answer", FROM(AUTH), FROM(SMTPD) | FROM(PICKUP),
                          FIELDS(AT(U64, limit_answer, request), AT(U32, limit_answer, verdict),
                                 AT(U32, limit_answer, number)),
                          .is_answer = true},
    [IPC_LIMIT_END] = {"limit-end", FROM(SMTPD) | FROM(PICKUP), FROM(AUTH),
                       FIELDS(AT(U64, limit_end, request), AT(U8, limit_end, sent))},
    [IPC_SENDER] = {"sender", FROM(SMTPD) | FROM(PICKUP), FROM(AUTH),
                    FIELDS(AT(U64, sender, request), AT(BYTES, sender, account), AT(BYTES, sender, address))},
    [IPC_SENDER_ANSWER] = {"sender-answer", FROM(AUTH), FROM(SMTPD) | FROM(PICKUP),
                           FIELDS(AT(U64, sender_answer, request), AT(U32, sender_answer, verdict)),
                           .is_answer = true},
    [IPC_RECIPIENT] = {"recipient", FROM(SMTPD) | FROM(QUEUE) | FROM(PICKUP), FROM(AUTH),
                       FIELDS(AT(U64, recipient, request), AT(BYTES, recipient, account),
                              AT(BYTES, recipient, address), AT(BYTES, recipient, sender))},
    [IPC_RECIPIENT_ANSWER] = {"recipient-answer", FROM(AUTH), FROM(SMTPD) | FROM(QUEUE) | FROM(PICKUP),
                              FIELDS(AT(U64, recipient_answer, request), AT(U32, recipient_answer, verdict),
                                     AT(RECIPIENTS, recipient_answer, targets)),
                              .is_answer = true},
    [IPC_EXPAND] = {"expand", FROM(QUEUE), FROM(AUTH),
                    FIELDS(AT(U64, expand, request), AT(BYTES, expand, address), AT(U32, expand, how),
                           AT(BYTES, expand, after), AT(BYTES, expand, account), AT(BYTES, expand, sender))},
    [IPC_EXPAND_ANSWER] = {"expand-answer", FROM(AUTH), FROM(QUEUE),
                           FIELDS(AT(U64, expand_answer, request), AT(U32, expand_answer, verdict),
                                  AT(RECIPIENTS, expand_answer, members),
                                  AT(RECIPIENTS, expand_answer, missing), AT(BYTES, expand_answer, after)),
                           .is_answer = true},
    [IPC_AWAY] = {"away", FROM(QUEUE), FROM(AUTH), FIELDS(AT(U64, away, request), AT(BYTES, away, user))},
    [IPC_AWAY_ANSWER] = {"away-answer", FROM(AUTH), FROM(QUEUE),
                         FIELDS(AT(U64, away_answer, request), AT(U8, away_answer, is_away),
                                AT(U32, away_answer, days), AT(BYTES, away_answer, subject),
                                AT(BYTES, away_answer, text)),
                         .is_answer = true},
    [IPC_SPOOL] = {"spool", FROM(SMTPD) | FROM(PICKUP), FROM(QUEUE), FIELDS(AT(U64, spool, request))},
    [IPC_SPOOL_ANSWER] = {"spool-answer", FROM(QUEUE), FROM(SMTPD) | FROM(PICKUP),
                          FIELDS(AT(U64, spool_answer, request), AT(U32, spool_answer, verdict),
                                 AT(U64, spool_answer, spool)),
                          .carries = CARRIES_FILE_TO_WRITE, .is_answer = true},
    [IPC_SPOOL_DROP] = {"spool-drop", FROM(SMTPD) | FROM(PICKUP), FROM(QUEUE),
                        FIELDS(AT(U64, spool_drop, spool))},
    [IPC_SUBMIT] = {"submit", FROM(SMTPD) | FROM(PICKUP), FROM(QUEUE),
                    FIELDS(AT(U64, submit, request), AT(U64, submit, id), AT(U64, submit, spool),
                           AT(ENVELOPE, submit, envelope), AT(ORIGIN, submit, origin),
                           AT(BYTES, submit, prefix), AT(BYTES, submit, content), AT(TRUST, submit, trust))},
    [IPC_SUBMIT_ANSWER] = {"submit-answer", FROM(QUEUE), FROM(SMTPD) | FROM(PICKUP),
                           FIELDS(AT(U64, submit_answer, request), AT(U32, submit_answer, verdict)),
                           .is_answer = true},
    [IPC_JUDGED] = {"judged", FROM(SMTPD), FROM(QUEUE), FIELDS(AT(BYTES, judged, events))},
    [IPC_TRUST] = {"trust", FROM(SMTPD), FROM(TRUST),
                   FIELDS(AT(U64, trust, request), AT(BYTES, trust, client_address), AT(BYTES, trust, helo),
                          AT(BYTES, trust, mail_from), AT(BYTES, trust, header),
                          AT(U8, trust, deferred_enough))},
    [IPC_TRUST_BODY] = {"trust-body", FROM(SMTPD), FROM(TRUST),
                        FIELDS(AT(U64, trust_body, request), AT(BYTES, trust_body, digests))},
    [IPC_TRUST_DROP] = {"trust-drop", FROM(SMTPD), FROM(TRUST), FIELDS(AT(U64, trust_drop, request))},
    [IPC_TRUST_ANSWER] = {"trust-answer", FROM(TRUST), FROM(SMTPD),
                          FIELDS(AT(U64, trust_answer, request), AT(U32, trust_answer, disposition),
                                 AT(U32, trust_answer, proposed), AT(U32, trust_answer, finding),
                                 AT(U32, trust_answer, override), AT(U32, trust_answer, code),
                                 AT(BYTES, trust_answer, enhanced), AT(BYTES, trust_answer, text),
                                 AT(BYTES, trust_answer, author), AT(BYTES, trust_answer, results),
                                 AT(BYTES, trust_answer, story), AT(BYTES, trust_answer, evidence),
                                 AT(U32, trust_answer, chain)),
                          .is_answer = true},
    [IPC_EXAMINE] = {"examine", FROM(WEB), FROM(RELAY), FIELDS(AT(U8, nothing, unused))},
    [IPC_EXAMINED] = {"examined", FROM(RELAY), FROM(WEB), FIELDS(AT(BYTES, examined, closed)),
                      .is_answer = true},
    [IPC_HANDED_OVER] = {"guest", FROM(WEB), FROM(SMTPD), FIELDS(AT(U32, handed_over, port)),
                         .carries = CARRIES_CONNECTION},
    [IPC_SIGN] = {"sign", FROM(RELAY), FROM(SIGN),
                  FIELDS(AT(U64, sign, request), AT(BYTES, sign, domain), AT(U8, sign, takes_parent),
                         AT(BYTES, sign, header), AT(BYTES, sign, body_digest), AT(U8, sign, chain),
                         AT(BYTES, sign, results))},
    [IPC_SIGN_ANSWER] = {"sign-answer", FROM(SIGN), FROM(RELAY),
                         FIELDS(AT(U64, sign_answer, request), AT(U32, sign_answer, verdict),
                                AT(BYTES, sign_answer, fields), AT(BYTES, sign_answer, why),
                                AT(BYTES, sign_answer, signer), AT(U32, sign_answer, instance)),
                         .is_answer = true},
    [IPC_DELIVER] = {"deliver", FROM(QUEUE), FROM(RELAY) | FROM(LOCAL) | FROM(REPORT),
                     FIELDS(AT(U64, deliver, delivery), AT(U64, deliver, id), AT(U64, deliver, arrived_ms),
                            AT(U32, deliver, attempt), AT(BYTES, deliver, destination), AT(U32, deliver, hop),
                            AT(U8, deliver, author), AT(U8, deliver, any_tls), AT(U8, deliver, chain),
                            AT(ENVELOPE, deliver, envelope), AT(BYTES, deliver, prefix),
                            AT(BYTES, deliver, content), AT(U8, deliver, in_file),
                            AT(U32, deliver, disposition)),
                     .carries = CARRIES_FILE_TO_READ},
    [IPC_DELIVER_ANSWER] = {"deliver-answer", FROM(RELAY) | FROM(LOCAL) | FROM(REPORT), FROM(QUEUE),
                            FIELDS(AT(U64, deliver_answer, delivery), AT(BYTES, deliver_answer, peer),
                                   AT(TLS, deliver_answer, tls), AT(RESULTS, deliver_answer, results)),
                            .is_answer = true},
    [IPC_CONTROL] = {"control", FROM(CLI), FROM(QUEUE),
                     FIELDS(AT(U64, control, request), AT(U32, control, verb), AT(U64, control, id),
                            AT(BYTES, control, argument))},
    [IPC_CONTROL_ANSWER] = {"control-answer", FROM(QUEUE) | FROM(AUTH), FROM(CLI),
                            FIELDS(AT(U64, control_answer, request), AT(U32, control_answer, ok),
                                   AT(U64, control_answer, count), AT(BYTES, control_answer, text)),
                            .is_answer = true},
    [IPC_LOCKS] = {"locks", FROM(CLI), FROM(AUTH), FIELDS(AT(U64, locks, request))},
    [IPC_LOCKS_ANSWER] = {"locks-answer", FROM(AUTH), FROM(CLI),
                          FIELDS(AT(U64, locks_answer, request), AT(LOCKS, locks_answer, locks)),
                          .is_answer = true},
    [IPC_UNLOCK] = {"unlock", FROM(CLI), FROM(AUTH),
                    FIELDS(AT(U64, unlock, request), AT(BYTES, unlock, who))},
    [IPC_ACCOUNT_CHANGE] = {"account-change", FROM(CLI), FROM(AUTH),
                            FIELDS(AT(U64, account_change, request), AT(U32, account_change, verb),
                                   AT(BYTES, account_change, name), AT(BYTES, account_change, value),
                                   AT(U64, account_change, octets), AT(U8, account_change, flag),
                                   AT(U64, account_change, since_ms), AT(U64, account_change, until_ms),
                                   AT(U32, account_change, days), AT(BYTES, account_change, subject),
                                   AT(BYTES, account_change, text), AT(TEXTS, account_change, targets)),
                            .is_secret = true},
    [IPC_ACCOUNT_CHANGED] = {"account-changed", FROM(AUTH), FROM(CLI),
                             FIELDS(AT(U64, account_changed, request), AT(U32, account_changed, exit_code),
                                    AT(BYTES, account_changed, text), AT(U64, account_changed, count),
                                    AT(BYTES, account_changed, secret), AT(BYTES, account_changed, user)),
                             .is_secret = true, .is_answer = true},
    [IPC_ACCOUNT_LIST] = {"account-list", FROM(CLI), FROM(AUTH),
                          FIELDS(AT(U64, account_list, request), AT(U32, account_list, list),
                                 AT(BYTES, account_list, after))},
    [IPC_ACCOUNT_ROWS] = {"account-rows", FROM(AUTH), FROM(CLI),
                          FIELDS(AT(U64, account_rows, request), AT(U32, account_rows, exit_code),
                                 AT(BYTES, account_rows, text), AT(BYTES, account_rows, after),
                                 AT(U32, account_rows, columns), AT(TEXTS, account_rows, cells)),
                          .is_answer = true},
    [IPC_CHOOSE] = {"choose", FROM(CLI), FROM(QUEUE),
                    FIELDS(AT(U64, choose, request), AT(U32, choose, verb), AT(CHOSEN, choose, chosen))},
    [IPC_REPORT] = {"report", FROM(CLI), FROM(QUEUE),
                    FIELDS(AT(U64, report, request), AT(U32, report, step), AT(U32, report, kind),
                           AT(U32, report, day), AT(BYTES, report, domain), AT(BYTES, report, address),
                           AT(BYTES, report, content))},
    [IPC_STATUS] = {"status", FROM(CLI), FROM(QUEUE),
                    FIELDS(AT(U64, status, request), AT(U8, status, with_in_progress))},
    [IPC_STATUS_ANSWER] = {"status-answer", FROM(QUEUE), FROM(CLI),
                           FIELDS(AT(U64, status_answer, request), AT(U64, status_answer, started_ms),
                                  AT(U64, status_answer, accepted), AT(U64, status_answer, delivered),
                                  AT(U64, status_answer, deferred), AT(U64, status_answer, failed),
                                  AT(U32, status_answer, deliveries), AT(U8, status_answer, is_held),
                                  AT(U8, status_answer, is_full),
                                  AT(DESTINATIONS, status_answer, destinations),
                                  AT(CHOSEN, status_answer, in_progress)),
                           .is_answer = true},
};

const char *ipc_role_name(enum process_role role)
{
#define ROLE_NAME(role, name) name,
    static const char *const names[] = {PROCESS_ROLES(ROLE_NAME)};
    return (size_t)role < ARRAY_LENGTH(names) ? names[role] : "unknown";
}

const char *ipc_kind_name(enum ipc_kind kind)
{
    return kind < IPC_KINDS ? kinds[kind].name : "unknown";
}

bool ipc_allowed(enum ipc_kind kind, enum process_role from, enum process_role to)
{
    return kind < IPC_KINDS && (kinds[kind].from & (1u << from)) != 0 && (kinds[kind].to & (1u << to)) != 0;
}

bool ipc_asks(enum process_role asker, enum process_role answerer)
{
    for (int kind = 0; kind < IPC_KINDS; kind++)
        if (!kinds[kind].is_answer && ipc_allowed((enum ipc_kind)kind, asker, answerer))
            return true;
    return false;
}

enum ipc_carries ipc_carries(enum ipc_kind kind, const void *message)
{
    assert(kind < IPC_KINDS);
    bool announced = kind == IPC_DELIVER ? ((const struct ipc_deliver *)message)->in_file != 0
                     : kind == IPC_SPOOL_ANSWER
                         ? ((const struct ipc_spool_answer *)message)->verdict == STORE_DONE
                         : true;
    return announced ? kinds[kind].carries : CARRIES_NOTHING;
}

bool ipc_is_secret(enum ipc_kind kind)
{
    return kind < IPC_KINDS && kinds[kind].is_secret;
}

const struct ipc_field *ipc_kind_fields(enum ipc_kind kind, size_t *count)
{
    assert(kind < IPC_KINDS);
    *count = kinds[kind].field_count;
    return kinds[kind].fields;
}
