/* SPDX-License-Identifier: Apache-2.0 */
/*
 * examine: gathers what a diagnosis is made from, as an expert would, within
 * ten seconds: every port and address of the target at once; then, where not
 * all is well, what diagnosis_lacks() asks for, all of it at the same time:
 * other known mail hosts on the same ports (controls), the target's web ports,
 * the ports that were not asked for, another resolver, this machine. Nothing is
 * sent but EHLO, STARTTLS and QUIT, and nobody signs in.
 *
 * A network that blocks is silent for seconds. So controls and web are begun
 * after EXAMINE_DOUBT_MS where no port of the target is ready by then, and are
 * seen when the target's silence is sure. Controls are never called where the
 * target is this machine, with `only_target`, or of the target's own provider.
 *
 * examine_start(), then on_done() once, from the loop: `facts` is filled, for
 * diagnosis_make(). The target's race is in `target` for who reports ports.
 * examine_end() in any case; its memory must stay until the loop has gone on.
 */
#ifndef MAILBOAT_DIAL_EXAMINE_H
#define MAILBOAT_DIAL_EXAMINE_H

#include "core/diagnosis/diagnosis.h"
#include "dial/other_resolver.h"
#include "dial/port_connect.h"
#include "dial/web_look.h"

enum examine_limit {
    EXAMINE_MS = 10 * 1000,        /* for all of it */
    EXAMINE_MACHINE_MS = 1200,     /* of these, for this machine's own files and rules, at the end */
    EXAMINE_TARGET_MS = 8 * 1000,  /* for the target, unless said */
    EXAMINE_DOUBT_MS = 1000,       /* a host that is well is ready by then */
    EXAMINE_CONTROL_MS = 3500,     /* for the controls */
    EXAMINE_CONTROLS_MAX = 5,      /* hosts */
    EXAMINE_CONTROL_ADDRESSES = 2, /* of each: one of either family */
    EXAMINE_LOOKS_MAX = 4,         /* 443 and 80 of one address of either family */
};

struct examine_options {
    const char *host; /* a name or an address; lives as long as the examination */
    struct race_port ports[RACE_PORTS_MAX];
    size_t port_count;
    uint16_t asked[FACTS_REMEMBERED_MAX]; /* ports that the user named, ended by 0 */
    struct bytes helo;                    /* ours; empty: address literals */
    uint16_t last_resort;
    bool own_ca;
    bool only_target; /* no other host is called */
    enum fact_purpose purpose;
    uint32_t target_ms;                 /* for the target; 0: EXAMINE_TARGET_MS */
    const struct fact_history *history; /* as remembered; NULL: nothing is known */
    void (*on_progress)(void *owner, const struct port_connect *target); /* may be NULL */
    void *owner;                                                         /* of on_progress */
};

struct examine;
/* One more race: a control's, or that for the target's other ports. */
struct examine_race {
    struct examine *of;
    struct port_connect connect;
    bool started, done;
};

struct examine {
    struct examine_options options;
    struct loop *loop;
    struct tls_context *tls;
    struct dns *dns;
    struct port_connect target;
    struct examine_race *controls[EXAMINE_CONTROLS_MAX], *others; /* NULL: not begun */
    struct web_look looks[EXAMINE_LOOKS_MAX];
    size_t look_count;
    struct other_resolver resolver;
    bool resolver_begun, resolver_done;
    struct timer doubt, limit;
    uint64_t started_ms;
    unsigned asked; /* enum fact_kind: what was begun, or was not to be */
    bool started, target_done, done;
    struct diagnosis_facts facts;
    void (*on_done)(void *owner);
    void *owner;
};

void examine_start(struct examine *examine, struct loop *loop, struct tls_context *tls, struct dns *dns,
                   const struct examine_options *options, void (*on_done)(void *owner), void *owner);
void examine_end(struct examine *examine);

#endif
