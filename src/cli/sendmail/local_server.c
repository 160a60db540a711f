/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sendmail/local_server.h"

#include "core/smtp/host.h"

#include <errno.h>
#include <unistd.h>

static const char *own_name(struct arena *arena)
{
    char name[DOMAIN_NAME_MAX + 1] = "";
    bool known = gethostname(name, sizeof name - 1) == 0 && host_is_name(bytes_of_text(name), false);
    return arena_text(arena, known ? bytes_of_text(name) : BYTES("localhost"));
}

static bool read_defaults(struct config *config, struct arena *arena, struct error *error)
{
    const char *text = arena_format(arena, "hostname: %s\n", own_name(arena));
    return config_parse(config, "the defaults", bytes_of_text(text), error);
}

bool machine_read(struct machine *machine, const char *file, struct error *error)
{
    struct config config;
    *machine = (struct machine){.socket = NULL};
    bool unconfigured = file == NULL && access(CONFIG_DEFAULT_FILE, F_OK) != 0 && errno == ENOENT;
    if (unconfigured ? !read_defaults(&config, &machine->arena, error) : !config_load_as_anybody(&config, file, error)) {
        machine_free(machine);
        return false;
    }
    machine->socket = arena_format(&machine->arena, "%s/submit.sock", config.data_dir);
    machine->drop = arena_format(&machine->arena, "%s/drop", config.data_dir);
    machine->queue = arena_format(&machine->arena, "%s/queue", config.data_dir);
    machine->hostname = arena_text(&machine->arena, bytes_of_text(config.hostname));
    machine->domain = config.domain_count > 0 ? arena_text(&machine->arena, bytes_of_text(config.domains[0])) : machine->hostname;
    machine->message_size_max = config.limits.message_size;
    machine->recipients_max = config.limits.recipients;
    config_free(&config);
    return true;
}

void machine_free(struct machine *machine)
{
    arena_clear(&machine->arena);
}
