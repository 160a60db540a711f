/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/accounts/lockout.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/options.h"
#include "service/control_client.h"

static bool open_auth(const struct command *command, const char *config_file, struct config *config,
                      struct control_client *control, int *exit_code)
{
    struct error error = {0};
    if (!options_config(command, config_file, config, exit_code))
        return false;
    if (control_client_open_auth(control, config->data_dir, &error))
        return true;
    config_free(config);
    *exit_code = command_fail(command, &error);
    return false;
}

static void print_json(const struct ipc_locks_answer *answer)
{
    json_t *list = json_array();
    for (size_t i = 0; i < answer->lock_count; i++) {
        const struct lock_status *lock = &answer->locks[i];
        json_array_append_new(list, json_pack("{s:s%, s:s%, s:i, s:I}", "user", lock->account.at,
                                              lock->account.length, "client", lock->address.at,
                                              lock->address.length, "failures", (int)lock->failures,
                                              "seconds", (json_int_t)((lock->left_ms + 999) / 1000)));
    }
    json_dumpf(list, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(list);
}

static void print_table(const struct ipc_locks_answer *answer)
{
    if (answer->lock_count == 0) {
        printf("no client or user is locked out\n");
        return;
    }
    printf("%-34s %-24s %8s %8s\n", "user", "client", "failures", "seconds");
    for (size_t i = 0; i < answer->lock_count; i++) {
        const struct lock_status *lock = &answer->locks[i];
        struct bytes user = lock->account.length > 0 ? lock->account : BYTES("(any)"),
                     client = lock->address.length > 0 ? lock->address : BYTES("(new ones)");
        printf("%-34.*s %-24.*s %8u %8llu\n", BYTES_ARG(user), BYTES_ARG(client), (unsigned)lock->failures,
               (unsigned long long)(lock->left_ms + 999) / 1000);
    }
}

int lockout_list(const struct command *command, const char *config_file, bool json)
{
    struct config config;
    struct control_client control;
    struct ipc_locks_answer answer;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!open_auth(command, config_file, &config, &control, &exit_code))
        return exit_code;
    if (!control_client_locks(&control, &answer, &error))
        exit_code = command_fail(command, &error);
    else if (json)
        print_json(&answer);
    else
        print_table(&answer);
    control_client_close(&control);
    config_free(&config);
    return exit_code;
}

int lockout_clear(const struct command *command, const char *config_file, const char *who)
{
    struct config config;
    struct control_client control;
    struct error error = {0};
    uint64_t count = 0;
    int exit_code = EX_OK;
    if (who[0] == '\0')
        return command_usage(command, "unlock requires a user's address or a client's IP address");
    if (!open_auth(command, config_file, &config, &control, &exit_code))
        return exit_code;
    if (!control_client_unlock(&control, bytes_of_text(who), &count, &error))
        exit_code = command_fail(command, &error);
    else
        printf(count == 0 ? "%s: was not locked out; failure count cleared\n" : "%s: unlocked\n", who);
    control_client_close(&control);
    config_free(&config);
    return exit_code;
}
