/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_alive: whether the resolvers answer at all. As soon as a question was not answered because none of them
 * is there, all are answered with a failure, without waiting; meanwhile one question in a while shows whether
 * one is back.
 */
#include <stdio.h>

#include "io/random.h"
#include "service/trust/trust.h"

static void on_probed(void *owner, const struct dns_answer *answer)
{
    struct dns_alive *alive = owner;
    alive->probing = false;
    if (answer->unanswered)
        timer_set(&alive->again, TRUST_DEAD_LOOK_MS);
    else
        alive->dead = false;
}

/* A name that no cache has. */
static void probe(void *owner)
{
    struct dns_alive *alive = owner;
    char name[32];
    snprintf(name, sizeof name, "%016llx.arpa", (unsigned long long)random_u64());
    alive->probing = true;
    dns_ask(alive->trust->dns, &alive->probe, bytes_of_text(name), DNS_A, on_probed, alive);
}

void dns_alive_start(struct dns_alive *alive, struct trust *trust)
{
    *alive = (struct dns_alive){.trust = trust};
    timer_start(&alive->again, trust->child->loop, probe, alive);
    timer_soon(&alive->again);
}

void dns_alive_notice(struct dns_alive *alive, const struct dns_answer *answer)
{
    if (answer->unanswered && !alive->dead) {
        alive->dead = true;
        if (!alive->probing)
            timer_set(&alive->again, TRUST_DEAD_LOOK_MS);
    }
    if (!answer->unanswered)
        alive->dead = false;
}
