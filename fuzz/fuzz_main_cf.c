/* SPDX-License-Identifier: Apache-2.0 */
/* main.cf: whatever refers to whatever, each value has an end and a bound. */
#include "choices.h"
#include "core/import/main_cf.h"

static void check_list(struct bytes list)
{
    struct main_cf_entry entry;
    struct main_cf_hop hop;
    for (size_t left = list.length + 1; main_cf_next(&list, &entry); left = list.length) {
        INSIST(list.length < left);
        main_cf_is_text(&entry);
        if (main_cf_read_hop(entry.name, &hop))
            INSIST(hop.host.length <= entry.name.length);
    }
    INSIST(list.length == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"mydestination", "relayhost", "virtual_alias_maps", "a", "b", "c"};
    struct arena arena = {0};
    struct main_cf main_cf;
    main_cf_read(&main_cf, &arena, bytes_of(data, size));
    main_cf_set_default(&main_cf, "myhostname", BYTES("mx.example.org"));
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct bytes value = main_cf_value(&main_cf, names[i]);
        INSIST(value.length <= MAIN_CF_VALUE_MAX);
        check_list(value);
    }
    main_cf_free(&main_cf);
    arena_clear(&arena);
    return 0;
}
