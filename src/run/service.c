/* SPDX-License-Identifier: Apache-2.0 */
#include "run/service.h"

#include <assert.h>

const char *service_name(const struct service *service)
{
    return ipc_role_name(service->role);
}

uint32_t service_count(const struct service *service, const struct config *config)
{
    return service->count == NULL ? 1 : service->count(config);
}

void service_list_check(service_list *services, const struct config *config)
{
    unsigned seen = 0;
    for (service_list *at = services; *at != NULL; at++) {
        const struct service *service = *at;
        assert(service->role > PROCESS_SUPERVISOR && service->role < PROCESS_CLI);
        assert((seen & 1u << service->role) == 0);
        assert(service->overlaps || service_count(service, config) <= 1);
        assert(!service->listens || service->socket != NULL);
        assert(service->stop < SERVICE_STOPS);
        assert(service->start != NULL && service->on_message != NULL && service->on_drain != NULL);
        seen |= 1u << service->role;
    }
}
