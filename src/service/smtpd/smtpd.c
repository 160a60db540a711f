/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "service/smtpd/smtpd.h"

#include <sched.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/log.h"
#include "io/random.h"
#include "service/services.h"

static struct smtpd smtpd_here; /* one per process */

/* True if an account, or a local user, has an hourly limit: auth counts (auth/sending_limits.c). */
static bool limits_sending(const struct config *config, enum server_role role)
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

static bool is_judging(const struct config *config)
{
    return config->trust.mode != VERDICT_OFF;
}

static struct server_policy policy_of(const struct config *config, const struct config_listener *facts)
{
    return (struct server_policy){.role = facts->role,
                                  .checks_header = facts->role != ROLE_MX,
                                  .limits_sending = limits_sending(config, facts->role),
                                  .success_for_all = config->reports.success == REPORT_SUCCESS_ALL,
                                  .asks_trust = facts->role == ROLE_MX && is_judging(config),
                                  .fix_bare_newlines = config->submission.fix_bare_newlines,
                                  .tls = facts->tls,
                                  .hostname = bytes_of_text(config->hostname),
                                  .message_size_max = config->limits.message_size,
                                  .recipients_max = config->limits.recipients};
}

/* The domain of "root" and other names without one, as for sendmail. */
static struct bytes own_domain(const struct config *config)
{
    return bytes_of_text(config->domain_count > 0 ? config->domains[0] : config->hostname);
}

/* Local programs use this machine's line ends. */
static struct server_policy local_policy(const struct config *config)
{
    struct server_policy policy = policy_of(config,
                                            &(struct config_listener){.role = ROLE_LOCAL, .tls = TLS_NONE});
    policy.fix_bare_newlines = true;
    policy.domain = own_domain(config);
    return policy;
}

/* A program that cannot sign in, on a host of submission.trusted: as a local one. */
static struct server_policy trusted_policy(const struct config *config, const struct config_listener *facts)
{
    struct server_policy policy = policy_of(config,
                                            &(struct config_listener){.role = ROLE_LOCAL, .tls = facts->tls});
    policy.fix_bare_newlines = true;
    policy.domain = own_domain(config);
    policy.is_trusted_host = true;
    return policy;
}

static bool needs_tls(const struct child *child)
{
    for (size_t i = 0; i < child->listener_count; i++)
        if (child->listener_facts[i].tls != TLS_NONE)
            return true;
    return child->config->web.tls_port != 0;
}

/* A context of its own: no other client gets what it allows. */
static bool open_old_tls(struct smtpd *smtpd, struct error *error)
{
    const struct config *config = smtpd->child->config;
    bool wanted = false;
    for (size_t i = 0; i < config->listener_count; i++)
        wanted = wanted || config->listeners[i].old_tls_count > 0;
    if (!wanted)
        return true;
    if (!tls_server_open(&smtpd->old_tls, config->tls.certificate, config->tls.key, error))
        return false;
    tls_allow_old(&smtpd->old_tls);
    return true;
}

static bool smtpd_open(struct child *child, struct error *error)
{
    struct smtpd *smtpd = &smtpd_here;
    const struct config *config = child->config;
    *smtpd = (struct smtpd){.child = child,
                            .metrics = child_shared(child, &smtpd_metrics),
                            .over_quota = child_shared(child, &over_quota_memory),
                            .accounts_version = child_shared(child, &accounts_version_memory),
                            .seed = random_u64()};
    child->service_data = smtpd;
    /* Waking up for each octet would preempt other clients. */
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    map_start(&smtpd->clients, smtpd->seed);
    if (needs_tls(child) && (config->tls.certificate == NULL || config->tls.key == NULL))
        return error_set(error, EX_CONFIG, "no TLS certificate; set tls.certificate and tls.key");
    if (!needs_tls(child))
        return true;
    if (!tls_server_open(&smtpd->tls, config->tls.certificate, config->tls.key, error))
        return false;
    tls_share_tickets(&smtpd->tls, smtpd->metrics->ticket_secret);
    tls_speak(&smtpd->tls, "smtp");
    return open_old_tls(smtpd, error);
}

static bool smtpd_start(struct child *child, struct error *error)
{
    struct smtpd *smtpd = child->service_data;
    struct listener *listener = smtpd->listeners = memory_new((child->listener_count + 1) *
                                                              sizeof *smtpd->listeners);
    handshake_limit_start(smtpd);
    memory_trim_start(&smtpd->memory_trim, child->loop);
    submissions_start(&smtpd->submissions, &question_child_peers, child, child->loop, QUESTION_PATIENCE_MS,
                      smtpd->seed);
    smtpd->submissions.ids.slot = (uint8_t)child->number;
    smtpd->submissions.hostname = bytes_of_text(child->config->hostname);
    smtpd->submissions.accounts_version = smtpd->accounts_version;
    judged_log_start(&smtpd->judged_log, &smtpd->submissions.questions, child->loop);
    credential_check_start(&smtpd->credentials, smtpd);
    trust_checks_start(&smtpd->trust_checks, smtpd->seed);
    timer_start(&smtpd->reopen, child->loop, listener_reopen_all, smtpd);
    for (size_t i = 0; i < child->listener_count; i++, listener++) {
        listener->policy = policy_of(child->config, &child->listener_facts[i]);
        listener->port = child->listener_facts[i].port;
        listener->proxies = child->listener_facts[i].proxies;
        listener->proxy_count = child->listener_facts[i].proxy_count;
        listener->facts = &child->listener_facts[i];
        listener->either_way = child->config->tls.either_way && listener->policy.role == ROLE_SUBMISSION &&
                               listener->policy.tls != TLS_NONE;
        listener->trusted_policy = trusted_policy(child->config, &child->listener_facts[i]);
        listener->clear_policy = listener->policy;
        listener->clear_policy.tls = TLS_STARTTLS;
        listener->clear_policy.tls_expected = true;
        listener_open(listener, smtpd, child->listeners[i]);
    }
    smtpd->web_listener = (struct listener){
        .smtpd = smtpd,
        .descriptor = -1,
        .port = child->config->web.tls_port,
        .policy = policy_of(child->config,
                            &(struct config_listener){.role = ROLE_SUBMISSION, .tls = TLS_IMPLICIT})};
    if (child->local_listener >= 0) {
        listener->policy = local_policy(child->config);
        listener_open(listener++, smtpd, child->local_listener);
    }
    smtpd->listener_count = (size_t)(listener - smtpd->listeners);
    admission_control_start(smtpd);
    accept_share_publish(smtpd);
    return true;
}

static void smtpd_message(struct child *child, struct channel *from, enum ipc_kind kind,
                          union ipc_message *message, int attached)
{
    struct smtpd *smtpd = child->service_data;
    if (kind == IPC_CREDENTIAL_ANSWER && credential_check_answered(smtpd, &message->credential_answer))
        return;
    if (kind == IPC_TRUST_ANSWER)
        trust_check_answered(smtpd, &message->trust_answer);
    else if (kind != IPC_HANDED_OVER)
        submissions_answered(&smtpd->submissions, kind, message, attached);
    else if (attached >= 0 && smtpd->web_listener.port == message->handed_over.port && !smtpd->draining)
        listener_take_over(&smtpd->web_listener, attached);
    else if (attached >= 0)
        close(attached); /* from an older configuration; the client tries again */
}

static void smtpd_peer(struct child *child, struct channel *peer)
{
    struct smtpd *smtpd = child->service_data;
    questions_peer_came(&smtpd->submissions.questions);
}

/* Its files are lost too. */
static void notify_queue_lost(struct smtpd *smtpd)
{
    for (struct smtp_connection *connection = smtpd->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        submission_queue_lost(&connection->message.submission);
    }
}

static void smtpd_peer_lost(struct child *child, struct channel *peer)
{
    struct smtpd *smtpd = child->service_data;
    if (peer->peer == PROCESS_AUTH)
        credential_check_lost(smtpd);
    if (peer->peer == PROCESS_TRUST)
        trust_check_peer_lost(smtpd, peer);
    if (peer->peer == PROCESS_QUEUE)
        notify_queue_lost(smtpd);
    questions_peer_lost(&smtpd->submissions.questions, peer->peer);
}

/* ---- shutdown ---- */

void smtpd_leave_if_done(struct smtpd *smtpd)
{
    if (!smtpd->draining || smtpd->connection_count > 0)
        return;
    judged_log_send(&smtpd->judged_log);
    child_exit(smtpd->child, 0);
}

/* Disconnects sessions that take too long; the client tries again. */
static void cut_all(void *owner)
{
    struct smtpd *smtpd = owner;
    while (smtpd->connections != NULL)
        smtp_connection_end(smtpd->connections);
}

static void drain_all(void *owner)
{
    struct smtpd *smtpd = owner;
    timer_start(&smtpd->drained, smtpd->child->loop, cut_all, smtpd);
    timer_set(&smtpd->drained, DRAIN_QUICK_MS);
    for (struct smtp_connection *connection = smtpd->connections, *next; connection != NULL;
         connection = next) {
        next = connection->next;
        smtp_connection_drain(connection);
    }
}

static void smtpd_drain(struct child *child, bool quick)
{
    struct smtpd *smtpd = child->service_data;
    listener_close_all(smtpd);
    timer_cancel(&smtpd->drained);
    smtpd->draining = true;
    submissions_close_cache(&smtpd->submissions);
    if (quick) {
        drain_all(smtpd);
    } else {
        timer_start(&smtpd->drained, child->loop, drain_all, smtpd);
        timer_set(&smtpd->drained, DRAIN_SLOW_MS);
    }
    smtpd_leave_if_done(smtpd);
}

static uint32_t smtpd_count(const struct config *config)
{
    return config->smtpd_count;
}

const struct service smtpd_service = {
    .role = PROCESS_SMTPD,
    .count = smtpd_count,
    .overlaps = true,
    .asks_to_the_end = true,
    .stop = STOP_INTAKE,
    .keeps = SANDBOX_ACCEPTS | SANDBOX_FILLS_FILES,
    .socket = "submit.sock",
    .listens = true,
    .shares = {{&smtpd_metrics, false}, {&over_quota_memory, true}, {&accounts_version_memory, true}},
    .open = smtpd_open,
    .start = smtpd_start,
    .on_message = smtpd_message,
    .on_peer = smtpd_peer,
    .on_peer_lost = smtpd_peer_lost,
    .on_drain = smtpd_drain};
