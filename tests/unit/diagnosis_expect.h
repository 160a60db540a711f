/* SPDX-License-Identifier: Apache-2.0 */
/* diagnosis_expect: judges the facts of a test, and insists on the cause, the first step and the rules of
 * safety. */
#ifndef MAILBOAT_TESTS_UNIT_DIAGNOSIS_EXPECT_H
#define MAILBOAT_TESTS_UNIT_DIAGNOSIS_EXPECT_H

#include "diagnosis_facts.h"
#include "unit.h"

#define FOUR "192.0.2.1"
#define SIX "2001:db8::1"
static struct diagnosis_facts facts;
static struct diagnosis diagnosis;
static struct buffer words;

static inline void judge(void)
{
    diagnosis_make(&facts, &diagnosis);
    buffer_clear(&words);
    diagnosis_words(&facts, &diagnosis, &words);
    const char *broken = diagnosis_breaks(&facts, &diagnosis);
    if (broken != NULL)
        fail_msg("%s:\n%s", broken, buffer_text(&words));
    for (size_t i = 0; i < ARRAY_LENGTH(diagnosis_harmful); i++)
        if (strstr(buffer_text(&words), diagnosis_harmful[i]) != NULL)
            fail_msg("harmful words \"%s\":\n%s", diagnosis_harmful[i], buffer_text(&words));
}

static inline void expect(const char *cause, enum step_kind first)
{
    judge();
    const char *found = cause_row(diagnosis.causes[0].cause)->name;
    if (strcmp(found, cause) != 0)
        fail_msg("%s was expected, not %s:\n%s", cause, found, buffer_text(&words));
    if (diagnosis.steps[0] != first)
        fail_msg("step %s was expected first, not %s:\n%s", step_name(first), step_name(diagnosis.steps[0]),
                 buffer_text(&words));
    if (strchr(buffer_text(&words), '?') != NULL || strchr(buffer_text(&words), '{') != NULL)
        fail_msg("a place is not filled:\n%s", buffer_text(&words));
}

static inline void expect_works(uint16_t port, size_t causes)
{
    judge();
    if (!diagnosis.works || diagnosis.use_port != port || diagnosis.cause_count != causes)
        fail_msg("port %u was expected to work, with %zu remarks:\n%s", (unsigned)port, causes,
                 buffer_text(&words));
    assert_int_equal(diagnosis.steps[0], STEP_USE_PORT);
}

static inline int tear_down(void **state)
{
    buffer_free(&words);
    return 0;
}

#endif
