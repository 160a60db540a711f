/* SPDX-License-Identifier: Apache-2.0 */
/* route_steps: passes facts to a route, and asserts its steps. */
#ifndef MAILBOAT_TESTS_ROUTE_STEPS_H
#define MAILBOAT_TESTS_ROUTE_STEPS_H

#include "core/route/route.h"
#include "unit.h"

static inline struct dns_record mx(uint16_t preference, const char *name)
{
    return (struct dns_record){.preference = preference, .name = bytes_of_text(name)};
}

static inline struct dns_record four(uint8_t last)
{
    return (struct dns_record){.address = {192, 0, 2, last}};
}
static inline struct dns_record six(uint8_t last)
{
    return (struct dns_record){.address = {0x20, 1, 0xd, 0xb8, [15] = last}};
}

static inline void expect_ask(struct route *route, enum dns_type type, const char *name)
{
    struct route_answer answer = route_next(route);
    assert_int_equal(answer.kind, ROUTE_ASK);
    assert_int_equal(answer.type, type);
    assert_text(answer.name, name);
}

static inline void expect_try(struct route *route, const char *name, const char *address)
{
    struct route_answer answer = route_next(route);
    struct buffer text = {0};
    assert_int_equal(answer.kind, ROUTE_TRY);
    assert_text(answer.name, name);
    route_address_text(&text, &answer.address);
    assert_text(buffer_bytes(&text), address);
    buffer_free(&text);
}

static inline void expect_end(struct route *route, bool final, const char *enhanced)
{
    struct route_answer answer = route_next(route);
    assert_int_equal(answer.kind, ROUTE_END);
    assert_int_equal(answer.final, final);
    if (enhanced == NULL)
        assert_null(answer.reason);
    else
        assert_string_equal(answer.enhanced, enhanced);
    route_free(route);
}

#endif
