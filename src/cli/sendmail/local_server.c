/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sendmail/local_server.h"

#include <errno.h>
#include <unistd.h>

#include "core/dns/host.h"
#include "service/services.h"

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

bool local_server_read(struct local_server *server, const char *file, struct error *error)
{
    struct config config;
    *server = (struct local_server){.socket = NULL};
    bool unconfigured = file == NULL && access(CONFIG_DEFAULT_FILE, F_OK) != 0 && errno == ENOENT;
    if (unconfigured ? !read_defaults(&config, &server->arena, error)
                     : !config_load_as_anybody(&config, file, error)) {
        local_server_free(server);
        return false;
    }
    server->socket = arena_format(&server->arena, "%s/%s", config.data_dir, smtpd_service.socket);
    server->drop = arena_format(&server->arena, "%s/%s", config.data_dir, pickup_service.folder);
    server->queue = (struct store_place){
        .kind = config.store,
        .folder = arena_format(&server->arena, "%s/%s", config.data_dir, queue_service.folder)};
    server->hostname = arena_text(&server->arena, bytes_of_text(config.hostname));
    server->domain = config.domain_count > 0 ? arena_text(&server->arena, bytes_of_text(config.domains[0]))
                                             : server->hostname;
    server->message_size_max = config.limits.message_size;
    server->recipients_max = config.limits.recipients;
    config_free(&config);
    return true;
}

void local_server_free(struct local_server *server)
{
    arena_clear(&server->arena);
}
