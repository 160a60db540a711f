/* SPDX-License-Identifier: Apache-2.0 */
/* An object passed to loop_release() outlives the running callback, but not the turn. */
#include "io/loop.h"
#include "io/timer.h"
#include "unit.h"

struct thing {
    struct loop *loop;
    struct released released;
    struct timer timer;
    struct thing *other; /* released when this one is freed */
    bool in_callback, freed;
};

static void free_thing(void *owner)
{
    struct thing *thing = owner;
    assert_false(thing->in_callback);
    assert_false(thing->freed);
    thing->freed = true;
    if (thing->other != NULL)
        loop_release(thing->loop, &thing->other->released, free_thing, thing->other);
}

static void end_from_within(void *owner)
{
    struct thing *thing = owner;
    thing->in_callback = true;
    loop_release(thing->loop, &thing->released, free_thing, thing);
    thing->in_callback = false;
    assert_false(thing->freed);
}

static void begin(struct thing *things, size_t count)
{
    static struct loop loop;
    struct error error = {0};
    assert_true(loop_start(&loop, &error));
    for (size_t i = 0; i < count; i++) {
        things[i] = (struct thing){.loop = &loop};
        timer_start(&things[i].timer, &loop, end_from_within, &things[i]);
    }
}

static void what_ends_in_a_callback_is_freed_after_it(void **state)
{
    struct thing things[3];
    begin(things, 3);
    struct loop *loop = things[0].loop;
    for (size_t i = 0; i < 3; i++)
        timer_set(&things[i].timer, 0);
    loop_run(loop); /* until nothing is left to do */
    for (size_t i = 0; i < 3; i++)
        assert_true(things[i].freed);
    loop_free(loop);
}

static void what_a_free_releases_is_freed_too(void **state)
{
    struct thing things[2];
    begin(things, 2);
    struct loop *loop = things[0].loop;
    things[0].other = &things[1];
    timer_set(&things[0].timer, 0);
    loop_run(loop);
    assert_true(things[0].freed && things[1].freed);
    loop_free(loop);
}

static void the_end_of_the_loop_frees_what_is_left(void **state)
{
    struct thing things[2];
    begin(things, 2);
    struct loop *loop = things[0].loop;
    things[0].other = &things[1];
    loop_release(loop, &things[0].released, free_thing, &things[0]);
    assert_false(things[0].freed);
    loop_free(loop);
    assert_true(things[0].freed && things[1].freed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_in_a_callback_is_freed_after_it),
        cmocka_unit_test(what_a_free_releases_is_freed_too),
        cmocka_unit_test(the_end_of_the_loop_frees_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
