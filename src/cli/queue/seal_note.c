/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/seal_note.h"

#include "cli/queue/key_warning.h"

void seal_note_add(struct buffer *out, const struct config *config, const struct store_message *m,
                   const struct store_recipient *r)
{
    bool away = r->destination.length > 0 && r->destination.at[0] != '@';
    if (!config->forward.seal || !away || r->recipient.via.length == 0 ||
        key_warning_was_submitted(&m->origin))
        return;
    switch (m->trust.chain) {
    case ARC_PENDING:
        buffer_add_text(out, "will not be sealed (ARC): it was not checked when it came");
        return;
    case ARC_TEMPERROR:
        buffer_add_text(out, "will not be sealed (ARC): the chain that it came with could not be checked");
        return;
    case ARC_NONE:
    case ARC_PASS:
    case ARC_FAIL:
    case ARC_RESULTS: break;
    }
    if (key_warning_host_may_sign(config, bytes_of_text(config->hostname)))
        buffer_add_format(out, "will be sealed (ARC) when it leaves%s",
                          m->trust.chain == ARC_FAIL ? ", as one whose chain was broken when it came" : "");
    else
        buffer_add_format(out, "will not be sealed (ARC): no DKIM key signs for %s or a domain above it",
                          config->hostname);
}
