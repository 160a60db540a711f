/* SPDX-License-Identifier: Apache-2.0 */
/* mailboxes: IMAP and POP3 for the users, served by Dovecot. */
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/accounts/account_client.h"
#include "cli/accounts/quota.h"
#include "cli/options.h"
#include "cli/setup/dovecot.h"
#include "run/data_dir.h"
#include "service/services.h"

extern const struct command mailboxes_command;

struct mailbox_ports {
    const char *name;
    uint16_t port;
};

static void print_json(const struct dovecot *dovecot, const struct config *config,
                       const struct mailbox_ports *ports, size_t count, bool running)
{
    json_t *numbers = json_object();
    for (size_t i = 0; i < count; i++)
        if (ports[i].port != 0)
            json_object_set_new(numbers, ports[i].name, json_integer(ports[i].port));
    json_t *facts = json_pack("{s:s, s:s, s:o, s:s, s:b, s:b}", "folder", dovecot->folder, "config",
                              dovecot->config, "ports", numbers, "lmtp", config->mailboxes.lmtp, "installed",
                              dovecot_program() != NULL, "started", running);
    json_dumpf(facts, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(facts);
}

static void print_words(const struct dovecot *dovecot, const struct config *config,
                        const struct mailbox_ports *ports, size_t count, bool start, bool started)
{
    printf("wrote %s: Dovecot serves the mailboxes of %s\n\n", dovecot->config, config->hostname);
    for (size_t i = 0; i < count; i++)
        if (ports[i].port != 0)
            printf("  %-6s port %u\n", ports[i].name, (unsigned)ports[i].port);
    printf("  lmtp   %s%s\n\n", config->mailboxes.lmtp,
           config->mailboxes.deliver == DELIVER_LMTP
               ? ""
               : " (mail goes into the Maildirs directly; mailboxes.deliver: lmtp uses it)");
    if (dovecot_is_open_to_all(dovecot, config))
        printf("Any local user can deliver through this socket; omit mailboxes.lmtp to restrict it to "
               "Mailboat\n");
    if (start)
        printf("Dovecot %s\n", started ? "is running" : "has reloaded its configuration");
    else if (dovecot_program() == NULL)
        printf("Dovecot is not installed; on Debian: apt install dovecot-imapd dovecot-pop3d "
               "dovecot-lmtpd\nThen start it: mailboat mailboxes setup --start\n");
    else
        printf("Start it: mailboat mailboxes setup --start, or %s -F -c %s in a service of your own\n",
               dovecot_program(), dovecot->config);
    if (config->web.port != 0 || config->web.tls_port != 0)
        printf("Reload a running server to publish IMAP and POP3 settings (SIGHUP or systemctl reload "
               "mailboat)\n");
}

/* Dovecot reads quotas from a file that must exist. */
static bool write_quotas(const struct config *config, struct error *error)
{
    const struct ipc_account_change asked = {.verb = ACCOUNT_QUOTAS_WRITE};
    return account_client_change(config, &asked, NULL, error);
}

struct mailboxes_options {
    const char *config;
    bool json, start;
};

static bool set_up(struct config *config, const struct mailboxes_options *wish, struct error *error)
{
    struct dovecot dovecot;
    bool made, started = false;
    if (!data_dir_prepare(config, services, error) || !data_dir_certificate(config, &made, error) ||
        !dovecot_find(&dovecot, config, error) || !write_quotas(config, error) ||
        !dovecot_write(&dovecot, config, error) || (wish->start && !dovecot_start(&dovecot, &started, error)))
        return false;
    const struct mailbox_ports ports[] = {{"imap", config->mailboxes.imap},
                                          {"imaps", config->mailboxes.imaps},
                                          {"pop3", config->mailboxes.pop3},
                                          {"pop3s", config->mailboxes.pop3s}};
    if (wish->json)
        print_json(&dovecot, config, ports, ARRAY_LENGTH(ports), wish->start);
    else
        print_words(&dovecot, config, ports, ARRAY_LENGTH(ports), wish->start, started);
    return true;
}

static bool stop(struct config *config, const struct mailboxes_options *wish, struct error *error)
{
    struct dovecot dovecot;
    if (!dovecot_find(&dovecot, config, error) || !dovecot_stop(&dovecot, error))
        return false;
    printf("Dovecot no longer serves the mailboxes\n");
    return true;
}

typedef bool mailboxes_action(struct config *config, const struct mailboxes_options *wish,
                              struct error *error);

static int run_action(const struct verb_call *call, mailboxes_action *act)
{
    const struct mailboxes_options *wish = call->wish;
    struct config config;
    struct error error = {0};
    int exit_code = EX_OK;
    if (!options_config(&mailboxes_command, wish->config, &config, &exit_code))
        return exit_code;
    if (!act(&config, wish, &error))
        exit_code = command_fail(&mailboxes_command, &error);
    config_free(&config);
    return exit_code;
}

static int run_setup(const struct verb_call *call)
{
    return run_action(call, set_up);
}

static int run_stop(const struct verb_call *call)
{
    return run_action(call, stop);
}

/* Run by Dovecot when a mailbox crosses a threshold. */
static int run_warn(const struct verb_call *call)
{
    const struct mailboxes_options *wish = call->wish;
    return quota_warn(&mailboxes_command, wish->config, call->arguments[0], call->arguments[1]);
}

static int run(int argc, char **argv)
{
    static const struct command_verb verbs[] = {{"setup", "", "json start", run_setup},
                                                {"stop", "", "", run_stop},
                                                {"warn", "USER PERCENT", "", run_warn},
                                                {.name = NULL}};
    struct mailboxes_options wish = {0};
    const struct option_rule rules[] = {{OPTION_TEXT, "config", 'c', &wish.config},
                                        {OPTION_FLAG, "json", 0, &wish.json},
                                        {OPTION_FLAG, "start", 0, &wish.start},
                                        {OPTION_END, NULL, 0, NULL}};
    return options_run_verb(&mailboxes_command, argc, argv, rules, verbs, &wish);
}

const struct command mailboxes_command = {
    .name = "mailboxes",
    .summary = "serve mailboxes by IMAP and POP3 with Dovecot: setup, stop",
    .help = "usage: mailboat mailboxes setup [--start] [--json]\n"
            "       mailboat mailboxes stop\n"
            "\n"
            "Writes a configuration for Dovecot into the data directory: IMAP and POP3 with the\n"
            "same accounts, passwords and certificate, and LMTP for `mailboxes.deliver: lmtp`.\n"
            "Ports are set under `mailboxes:` in the configuration. Run it again when that\n"
            "changes; changes of accounts and passwords take effect without it.\n"
            "\n"
            "Dovecot itself calls `mailboat mailboxes warn PERCENT ADDRESS` when a mailbox is\n"
            "nearly full: it delivers a warning to it (see mailboat user quota).\n"
            "\n"
            "  -c, --config FILE   configuration; default /etc/mailboat/mailboat.conf\n"
            "      --start         also start Dovecot with it, or reload the running one\n"
            "      --json          print JSON\n"
            "\n"
            "example: mailboat mailboxes setup --start\n",
    .run = run,
};
