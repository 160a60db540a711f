/* SPDX-License-Identifier: Apache-2.0 */
/* Any file in place of published settings: what discovery takes from it is a
 * host that could be, a port that is not 25, and TLS. */
#include "choices.h"
#include "io/autoconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct autoconfig found;
    static struct discovery discovery;
    struct discovery_question question;
    bool read = autoconfig_read(&found, bytes_of((const char *)data, size));
    INSIST(!read || found.count <= AUTOCONFIG_SERVERS_MAX);
    INSIST(discovery_start(&discovery, BYTES("ada@example.org")));
    for (unsigned step = 0; discovery_next(&discovery, &question); step++) {
        INSIST(step < 16);
        if (question.kind == DISCOVERY_FETCH && read)
            discovery_learn_settings(&discovery, found.servers, found.count);
        else
            discovery_learn_nothing(&discovery);
    }
    INSIST(discovery.host[0] == '\0' || host_is_name(bytes_of_text(discovery.host), true));
    for (size_t i = 0; i < discovery.port_count; i++)
        INSIST(discovery.ports[i].port != 25 && discovery.ports[i].port != 0 &&
               discovery.ports[i].tls != CLIENT_TLS_NEVER);
    return 0;
}
