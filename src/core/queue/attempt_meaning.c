/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue/attempt_meaning.h"

#include <assert.h>

#include "core/queue/queue_id.h"

const struct reply_meaning *attempt_meaning_find(const struct attempt_record *attempt,
                                                 const struct attempt_names *names)
{
    char id[QUEUE_ID_TEXT_LENGTH + 1];
    queue_id_text(names->id, id);
    assert(strlen(id) == QUEUE_ID_TEXT_LENGTH);
    struct reply_facts facts = {.code = attempt->code,
                                .enhanced = attempt->enhanced,
                                .text = attempt->text,
                                .peer = attempt->peer,
                                .own = {names->hostname, names->sender, names->recipient, names->original,
                                        names->destination, bytes_of_text(id)}};
    return reply_meaning_find(&facts);
}
