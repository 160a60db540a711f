/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/account_control.h"

#include <assert.h>
#include <sysexits.h>

/* ---- a change ---- */

static void copy_texts(struct account_job *job, const struct ipc_account_change *asked)
{
    job->asked = *asked;
    job->asked.name = arena_copy(&job->arena, asked->name);
    job->asked.value = arena_copy(&job->arena, asked->value);
    job->asked.subject = arena_copy(&job->arena, asked->subject);
    job->asked.text = arena_copy(&job->arena, asked->text);
    job->asked.targets = NULL;
    job->asked.target_count = 0;
}

static void add_targets(struct account_job *job, const struct ipc_account_change *asked)
{
    struct ipc_account_change *all = &job->asked;
    size_t count = all->target_count + asked->target_count;
    if (count > job->targets_capacity) {
        struct bytes *larger = ARENA_ARRAY(&job->arena, struct bytes, 2 * count);
        if (all->target_count > 0)
            memcpy(larger, all->targets, all->target_count * sizeof *larger);
        all->targets = larger;
        job->targets_capacity = 2 * count;
    }
    for (size_t i = 0; i < asked->target_count; i++)
        all->targets[all->target_count++] = arena_copy(&job->arena, asked->targets[i]);
}

static bool say_more(struct auth_control_client *client, uint64_t request)
{
    return channel_send(&client->channel, IPC_ACCOUNT_CHANGED,
                        &(struct ipc_account_changed){.request = request}, -1);
}

static bool refuse_size(struct auth_control_client *client, uint64_t request)
{
    account_job_free(client->gathering);
    client->gathering = NULL;
    return channel_send(&client->channel, IPC_ACCOUNT_CHANGED,
                        &(struct ipc_account_changed){.request = request,
                                                      .exit_code = EX_DATAERR,
                                                      .text = BYTES("too many targets in one command")},
                        -1);
}

static bool has_pages(uint32_t verb)
{
    return verb == ACCOUNT_ALIAS_ADD || verb == ACCOUNT_IMPORT;
}

/* Collects the targets of an alias or import, which may need several requests for one change. */
bool account_control_change(struct auth_control_client *client, const struct ipc_account_change *asked)
{
    struct account_job *job = client->gathering;
    assert(client->pending == NULL);
    if (job == NULL) {
        job = client->gathering = account_job_new();
        copy_texts(job, asked);
    } else if (!has_pages(asked->verb) || asked->verb != job->asked.verb ||
               !bytes_equal(asked->name, job->asked.name)) {
        return false;
    }
    add_targets(job, asked);
    if (job->arena.used > ACCOUNT_TARGETS_OCTETS)
        return refuse_size(client, asked->request);
    if (has_pages(asked->verb) && asked->flag != 0)
        return say_more(client, asked->request);
    job->asked.request = asked->request;
    job->owner = client;
    client->gathering = NULL;
    client->pending = job;
    client->control->pending_count++;
    account_writer_give(client->control->writer, job);
    return true;
}

void account_control_done(struct account_job *job)
{
    struct auth_control_client *client = job->owner;
    if (client != NULL) {
        client->pending = NULL;
        auth_control_say(client, IPC_ACCOUNT_CHANGED, &job->answer);
    }
    account_job_free(job);
}

/* ---- lists ---- */

bool account_control_list(struct auth_control_client *client, const struct ipc_account_list *asked)
{
    struct arena arena = {0};
    struct ipc_account_rows answer;
    account_store_list(client->control->accounts, asked, &arena, &answer);
    bool sent = channel_send(&client->channel, IPC_ACCOUNT_ROWS, &answer, -1);
    arena_clear(&arena);
    return sent;
}

void account_control_lost(struct auth_control_client *client)
{
    if (client->gathering != NULL)
        account_job_free(client->gathering);
    if (client->pending != NULL)
        client->pending->owner = NULL;
    client->gathering = client->pending = NULL;
}
