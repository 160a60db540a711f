/* SPDX-License-Identifier: Apache-2.0 */
/* Any TXT record in the place of a key's: it is judged, and it is ours only if it has our key. Any looks in
 * any order, by any clock: a key signs only while DNS shows it, and each state has its sentence. */
#include "choices.h"
#include "core/trust/key_state.h"

static const struct key_record record = {BYTES("example.org"), BYTES("s1"), DKIM_ED25519_SHA256,
                                         BYTES("5PQ1FvV5/vd6oVZxFTBmlRhoVOXZB68qXqQdIH+Ywv8=")};

static void check_state(struct bytes text)
{
    struct key_state state;
    struct buffer words = {0};
    key_state_start(&state, 1, 1795435200);
    while (text.length >= 6) {
        const unsigned char *at = (const unsigned char *)text.at;
        struct key_look look = {(uint64_t)at[0] << 26 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8,
                                at[3] % KEY_SEEN_KINDS, at[4] % KEY_SEEN_KINDS, (uint32_t)at[5] << 8};
        struct key_wait_facts facts = {look.now_s, (uint64_t)at[5] << 16};
        bool moved = key_state_look(&state, &look);
        INSIST(!key_state_signs(&state) || !key_seen_is_wrong(look.servers));
        INSIST(!moved || state.since_s[state.stage] != 0);
        buffer_clear(&words);
        key_state_words(&record, &state, &facts, &words);
        INSIST(words.length > 0 && !bytes_has_control(buffer_bytes(&words)));
        if (at[4] % 16 == 15)
            key_state_retire(&state, look.now_s);
        text = bytes_from(text, 6);
    }
    buffer_free(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    const struct dns_record one = {.data = text};
    struct dns_answer answer = {.status = DNS_FOUND, .records = &one, .count = 1};
    enum key_seen seen = key_record_compare(&record, &answer);
    INSIST(seen < KEY_SEEN_KINDS && seen != KEY_SEEN_UNKNOWN && seen != KEY_SEEN_MISSING);
    INSIST(seen != KEY_SEEN_OURS || bytes_find(text, '=') != SIZE_MAX);
    check_state(text);
    return 0;
}
