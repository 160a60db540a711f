/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of the process that judges mail stays what it is, over a hundred thousand messages of as many
 * domains, with and without signatures: measured as the kernel counts it, and by what the process counts.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "service/trust_digests.h"
#include "trust_ground.h"

enum {
    MESSAGES = 100 * 1000,
    FIRST = 20 * 1000, /* until then the answers that are remembered have filled their place */
    OPEN = 64,         /* at the same time */
    GROWTH_PERCENT_MAX = 5,
};

/* Sanitizers keep what was freed. */
enum { IS_MEASURED = !WITH_ADDRESS_SANITIZER && !WITH_THREAD_SANITIZER };

#define KEY "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define SIGNATURE                                                                    \
    "DKIM-Signature: v=1; a=ed25519-sha256; d=n%u.example; s=s; h=from:subject;\r\n" \
    "\tbh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA\r\n"

static size_t resident_kib(void)
{
    char text[128] = "";
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, text, sizeof text - 1);
    unsigned long all = 0, resident = 0;
    close(file);
    assert_true(length > 0 && sscanf(text, "%lu %lu", &all, &resident) == 2);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void answer_one(struct dns_question *question)
{
    static char filler[4096];
    struct dns_record record = {.data = BYTES("v=spf1 ip4:192.0.2.1 -all")};
    struct dns_answer said = {.status = DNS_FOUND, .records = &record, .count = 1, .ttl_s = 300};
    if (strstr(question->name, "._domainkey.") != NULL)
        record.data = BYTES(KEY);
    else if (strncmp(question->name, "_dmarc.n", 8) == 0)
        record.data = BYTES("v=DMARC1; p=none");
    else if (question->type == DNS_TXT && strlen(question->name) % 7 == 0)
        record.data = bytes_of(filler, strlen(question->name) * 64);
    else if (question->type != DNS_TXT)
        said = (struct dns_answer){.status = DNS_NXDOMAIN, .ttl_s = 300};
    answer(question, &said);
}

static uint64_t ask_message(unsigned number)
{
    struct buffer header = {0};
    char client[32];
    snprintf(client, sizeof client, "10.%u.%u.1", number >> 8 & 255, number & 255);
    buffer_add_format(&header, "From: a@n%u.example\r\nSubject: %u\r\n", number, number);
    for (unsigned i = 0; i < number % 4; i++)
        buffer_add_format(&header, SIGNATURE, number);
    for (unsigned i = 0; i < number % 50; i++)
        buffer_add_format(&header, "X-%u: %0*u\r\n", i, (int)(number % 97), number);
    uint64_t request = ask(client, buffer_bytes(&header));
    buffer_free(&header);
    return request;
}

static void judge(unsigned first)
{
    struct buffer digests = {0};
    uint64_t requests[OPEN];
    for (unsigned i = 0; i < OPEN; i++)
        requests[i] = ask_message(first + i);
    while (g.asked != NULL) {
        while (g.asked != NULL)
            answer_one(g.asked);
        turn();
    }
    for (unsigned i = 0; i < OPEN; i++) {
        const struct trust_question *question = trust_question_find(g.trust, &g.asker, requests[i]);
        const struct dkim_body_fact facts[JUDGEMENT_BODIES_MAX] = {0};
        if (question == NULL)
            continue;
        buffer_clear(&digests);
        trust_digests_add(&digests, facts, question->judgement.body_count);
        give_body(requests[i], buffer_bytes(&digests));
    }
    turn();
    buffer_free(&digests);
    assert_int_equal(g.trust->open, 0);
    assert_int_equal(g.trust->octets, 0);
}

static void memory_is_flat_over_many_messages(void **state)
{
    size_t first = 0;
    unsigned number = 0, messages = IS_MEASURED ? MESSAGES : FIRST;
    for (; number < messages; number += OPEN) {
        judge(number);
        if (first == 0 && number + OPEN >= FIRST)
            first = resident_kib();
    }
    size_t last = resident_kib(), told = 0;
    for (size_t i = 0; i < VERDICT_FINDINGS; i++)
        told += g.told[i];
    assert_int_equal(told, number);
    assert_int_equal(g.told[FINDING_TEMPERROR], 0);
    assert_int_equal(g.trust->cache.count, ANSWER_CACHE_MAX);
    print_message("resident after %u messages: %zu KiB, after %u: %zu KiB\n", (unsigned)FIRST, first, number,
                  last);
    assert_true(!IS_MEASURED || last * 100 <= first * (100 + GROWTH_PERCENT_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_flat_over_many_messages, prepare, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
