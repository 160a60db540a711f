/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Postfix: logical lines in order, and their splits inside the line. */
#include "choices.h"
#include "core/import/table_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct table_text table;
    struct bytes line, key, value;
    size_t number, last = 0;
    table_text_start(&table, bytes_of(data, size));
    while (table_text_next(&table, &line, &number)) {
        INSIST(number > last && line.length > 0 && line.length <= 2 * size &&
               bytes_find(line, '\n') == SIZE_MAX);
        INSIST(line.at[0] != '#' && line.at[0] != ' ');
        if (table_text_split(line, &key, &value))
            INSIST(key.length > 0 && value.length > 0 && key.at >= line.at);
        if (table_text_split_alias(line, &key, &value) || table_text_split_parameter(line, &key, &value))
            INSIST(key.length > 0 && key.length + value.length < line.length);
        last = number;
    }
    table_text_free(&table);
    return 0;
}
