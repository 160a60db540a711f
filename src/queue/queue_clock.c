/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue_clock.h"

#include <stdio.h>

#include "io/clock.h"
#include "io/log.h"

static const char note_name[] = "time"; /* "BOOT_ID BOOT_MS QUEUE_MS WALL_MS" */

static void look_at_clocks(struct queue_clock_moment *moment)
{
    moment->boot_ms = clock_boot_ms();
    moment->wall_ms = clock_epoch_ms();
}

static void read_boot_id(struct queue_clock_moment *moment)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    moment->boot_id[0] = '\0';
    if (file != NULL && fgets(moment->boot_id, sizeof moment->boot_id, file) == NULL)
        moment->boot_id[0] = '\0';
    if (file != NULL)
        fclose(file);
    moment->boot_id[strcspn(moment->boot_id, " \n")] = '\0';
}

static struct bytes word(struct bytes *text)
{
    struct bytes found = bytes_first(*text, bytes_find(*text, ' '));
    *text = bytes_from(*text, found.length < text->length ? found.length + 1 : found.length);
    return found;
}

uint64_t queue_clock_resume_ms(struct bytes note, const struct queue_clock_moment *now)
{
    uint64_t boot_ms, queue_ms, wall_ms;
    struct bytes boot_id = word(&note);
    if (!bytes_to_u64(word(&note), INT64_MAX, &boot_ms) || !bytes_to_u64(word(&note), INT64_MAX, &queue_ms) ||
        !bytes_to_u64(word(&note), INT64_MAX, &wall_ms))
        return now->wall_ms;
    bool same_boot = boot_id.length > 0 && bytes_is(boot_id, now->boot_id) && now->boot_ms >= boot_ms;
    if (same_boot)
        return queue_ms + (now->boot_ms - boot_ms);
    return queue_ms + (now->wall_ms > wall_ms ? now->wall_ms - wall_ms : 0);
}

static uint64_t resume(struct store *store, const struct queue_clock_moment *now)
{
    struct arena arena = {0};
    uint64_t resumed_ms = queue_clock_resume_ms(store_note(store, note_name, &arena), now);
    arena_clear(&arena);
    return resumed_ms;
}

static void put_note(struct queue_clock *queue_clock, struct store *store)
{
    struct queue_clock_moment now = queue_clock->started;
    char text[QUEUE_CLOCK_BOOT_ID_MAX + 3 * 21 + 1];
    look_at_clocks(&now);
    queue_clock->noted_ms = queue_clock_now_ms(queue_clock);
    queue_clock->noted_ahead_ms = queue_clock_ahead_ms(queue_clock);
    snprintf(text, sizeof text, "%s %llu %llu %llu", now.boot_id, (unsigned long long)now.boot_ms,
             (unsigned long long)queue_clock->noted_ms, (unsigned long long)now.wall_ms);
    store_note_put(store, note_name, bytes_of_text(text));
}

void queue_clock_open(struct queue_clock *queue_clock)
{
    *queue_clock = (struct queue_clock){0};
    read_boot_id(&queue_clock->started);
}

bool queue_clock_start(struct queue_clock *queue_clock, struct store *store, struct error *error)
{
    look_at_clocks(&queue_clock->started);
    queue_clock->started_ms = resume(store, &queue_clock->started);
    if (store_verdict(store, error) != STORE_DONE)
        return false;
    put_note(queue_clock, store);
    return true;
}

uint64_t queue_clock_now_ms(const struct queue_clock *queue_clock)
{
    return queue_clock->started_ms + (clock_boot_ms() - queue_clock->started.boot_ms);
}

int64_t queue_clock_ahead_ms(const struct queue_clock *queue_clock)
{
    return (int64_t)clock_epoch_ms() - (int64_t)queue_clock_now_ms(queue_clock);
}

void queue_clock_look(struct queue_clock *queue_clock, struct store *store)
{
    int64_t moved_ms = queue_clock_ahead_ms(queue_clock) - queue_clock->noted_ahead_ms;
    bool jumped = moved_ms > QUEUE_CLOCK_STEP_MS || moved_ms < -QUEUE_CLOCK_STEP_MS;
    if (jumped)
        log_event(LOG_EVENT_WARN, "clock_jumped", LOG_TEXT("direction", moved_ms > 0 ? "forward" : "back"),
                  LOG_U64("jump_s", (moved_ms > 0 ? moved_ms : -moved_ms) / 1000),
                  LOG_TEXT("hint", "queued mail is not affected; fix this machine's clock"));
    if (jumped || (store_is_changed(store) &&
                   queue_clock_now_ms(queue_clock) - queue_clock->noted_ms >= QUEUE_CLOCK_NOTED_MS))
        put_note(queue_clock, store);
}

uint64_t queue_clock_read_ms(struct store *store)
{
    struct queue_clock_moment now;
    read_boot_id(&now);
    look_at_clocks(&now);
    return resume(store, &now);
}
