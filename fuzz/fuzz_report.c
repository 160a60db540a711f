/* SPDX-License-Identifier: Apache-2.0 */
/* A report that somebody sends: read or refused, and what was read is written and judged. */
#include "choices.h"
#include "cli/ports/facts_json.h"
#include "core/diagnosis/diagnosis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct diagnosis_facts facts;
    struct error error = {0};
    json_t *report = json_loadb((const char *)data, size, 0, NULL);
    if (report != NULL && facts_json_read(report, &facts, &error)) {
        struct diagnosis diagnosis;
        struct buffer words = {0};
        diagnosis_make(&facts, &diagnosis);
        diagnosis_ticket(&facts, &diagnosis, &words);
        buffer_free(&words);
        json_t *again = facts_json_write(&facts);
        INSIST(facts_json_read(again, &facts, &error));
        json_decref(again);
    }
    json_decref(report);
    return 0;
}
