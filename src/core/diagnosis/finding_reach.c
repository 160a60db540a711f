/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/finding_group.h"
#include "core/port/port_order.h"

/* ---- sets of ports ---- */

struct reach_counts {
    size_t tried, silent, refused, unreachable, prohibited, no_route, connected, ready;
};

static struct reach_counts count(const struct finding_group *group)
{
    struct reach_counts counts = {0};
    for (size_t i = 0; i < group->seen.count; i++) {
        const struct port_seen *port = &group->seen.ports[i];
        if (!port_seen_counts(group->facts, port))
            continue;
        counts.tried++;
        counts.silent += port->state == PORT_SEEN_SILENT;
        counts.refused += port->state == PORT_SEEN_REFUSED;
        counts.unreachable += port->state == PORT_SEEN_UNREACHABLE;
        counts.prohibited += port->state == PORT_SEEN_UNREACHABLE &&
                             port->attempt->unreachable == UNREACHABLE_PROHIBITED;
        counts.no_route += port->state == PORT_SEEN_UNREACHABLE &&
                           port->attempt->unreachable == UNREACHABLE_NO_ROUTE;
        counts.connected += port->state >= PORT_SEEN_CONNECTED;
        counts.ready += port->state == PORT_SEEN_READY;
    }
    return counts;
}

static enum port_state state_on(const struct finding_group *group, uint16_t number)
{
    const struct port_seen *port = ports_seen_of(&group->seen, number);
    return port == NULL || !port->offered ? PORT_SEEN_UNTRIED : port->state;
}

static bool is_blocked(enum port_state state)
{
    return state == PORT_SEEN_SILENT || state == PORT_SEEN_REFUSED || state == PORT_SEEN_UNREACHABLE;
}

static bool was_asked(const struct diagnosis_facts *facts, uint16_t port)
{
    for (size_t i = 0; i < ARRAY_LENGTH(facts->asked) && facts->asked[i] != 0; i++)
        if (facts->asked[i] == port)
            return true;
    return facts->asked[0] == 0;
}

static bool is_only_not_offered(const struct finding_group *group)
{
    size_t failed = 0;
    for (size_t i = 0; i < group->seen.count; i++) {
        const struct port_seen *port = &group->seen.ports[i];
        if (port->port == 25 || port->state == PORT_SEEN_UNTRIED || !was_asked(group->facts, port->port))
            continue;
        if (port->offered)
            return false;
        failed++;
    }
    return failed > 0;
}

static void find_ports(struct finding_group *group)
{
    struct reach_counts n = count(group);
    enum port_state on_25 = state_on(group, 25), on_587 = state_on(group, PORT_SUBMISSION);
    size_t blocked = n.silent + n.refused + n.unreachable;
    bool allow_list = on_587 >= PORT_SEEN_CONNECTED &&
                      state_on(group, PORT_SUBMISSIONS) == PORT_SEEN_REFUSED &&
                      state_on(group, PORT_ALTERNATIVE) == PORT_SEEN_REFUSED;
    enum {
        SILENT = 1 << PORT_SEEN_SILENT,
        REFUSED = 1 << PORT_SEEN_REFUSED,
        UNREACHABLE = 1 << PORT_SEEN_UNREACHABLE,
        READY = 1 << PORT_SEEN_READY,
        CONNECTED = READY | 1 << PORT_SEEN_CONNECTED
    };
    finding_set_states(group, FINDING_READY, n.ready > 0, READY);
    finding_set_states(group, FINDING_SILENT_ALL, n.tried > 0 && n.silent == n.tried, SILENT);
    finding_set_states(group, FINDING_SILENT_SOME, n.silent > 0, SILENT);
    finding_set_states(group, FINDING_REFUSED_ALL, n.tried > 0 && n.refused == n.tried, REFUSED);
    finding_set_states(group, FINDING_REFUSED_SOME, n.refused > 0, REFUSED);
    finding_set_states(group, FINDING_UNREACHABLE_ALL, n.tried > 0 && n.unreachable == n.tried, UNREACHABLE);
    finding_set_states(group, FINDING_UNREACHABLE_SOME, n.unreachable > 0, UNREACHABLE);
    finding_set_states(group, FINDING_PROHIBITED, n.prohibited > 0, UNREACHABLE);
    finding_set(group, FINDING_NO_ROUTE, n.no_route > 0 && n.no_route == n.tried);
    finding_set(group, FINDING_BLOCKED_ALL, n.tried > 0 && blocked == n.tried);
    finding_set_states(group, FINDING_BLOCKED_SUBMISSION, blocked > 0, SILENT | REFUSED | UNREACHABLE);
    finding_set_states(group, FINDING_CONNECTED_SOME, n.connected > 0, CONNECTED);
    finding_set(group, FINDING_SILENT_25, on_25 == PORT_SEEN_SILENT);
    finding_set(group, FINDING_BLOCKED_25, is_blocked(on_25));
    finding_set(group, FINDING_ONLY_25, group->facts->purpose == PURPOSE_RELAY);
    finding_set(group, FINDING_FOR_SERVERS, group->facts->purpose != PURPOSE_SUBMIT);
    finding_set(group, FINDING_CONNECTED_25, on_25 >= PORT_SEEN_CONNECTED);
    finding_set(group, FINDING_READY_25, on_25 == PORT_SEEN_READY);
    finding_set(group, FINDING_ALLOW_LIST, allow_list);
    finding_set(group, FINDING_SILENT_587_ONLY,
                on_587 == PORT_SEEN_SILENT && n.connected > 0 && n.silent == 1);
    finding_set(group, FINDING_LAST_RESORT_READY, state_on(group, 443) == PORT_SEEN_READY);
    finding_set(group, FINDING_ONLY_PORTS_NOT_OFFERED, is_only_not_offered(group));
}

/* ---- ICMP: a closed port answers with RST, and so does a firewall that imitates one ---- */

static bool was_rejected_by_host(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->icmp > FACT_ICMP_NONE && strcmp(attempt->icmp_from, attempt->address) == 0 &&
           facts->host_is_own != KNOWN_YES;
}

/* That a host cannot be reached is said by plain routers as well. */
static bool was_rejected_on_the_way(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return (attempt->icmp == FACT_ICMP_PORT || attempt->icmp == FACT_ICMP_PROHIBITED) &&
           strcmp(attempt->icmp_from, attempt->address) != 0;
}

/* ---- time: what answers quicker than the host can is not the host ---- */

enum { AT_ONCE_MS = 1, FAR_MS = 6, CONTROLS_AT_ONCE_MIN = 2 };

/* The shortest way to the target that is known to be its own: the web, or a port with the right certificate.
 */
static uint32_t round_trip_ms(const struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    uint32_t shortest = 0;
    for (size_t i = 0; i < facts->web_count; i++)
        if (facts->web[i].reach == REACH_CONNECTED &&
            fact_attempt_is_of(&facts->web[i], group->findings->family) &&
            (shortest == 0 || facts->web[i].connect_ms < shortest))
            shortest = facts->web[i].connect_ms;
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *attempt = &facts->attempts[i];
        if (fact_attempt_is_of(attempt, group->findings->family) && fact_attempt_is_right(attempt) &&
            (shortest == 0 || attempt->connect_ms < shortest))
            shortest = attempt->connect_ms;
    }
    return shortest;
}

static bool was_refused_at_once(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->reach == REACH_REFUSED && attempt->connect_ms <= AT_ONCE_MS;
}

static bool is_without_a_word(const struct fact_attempt *attempt)
{
    return attempt->voice == VOICE_MUTE || attempt->voice == VOICE_CLOSED || attempt->voice == VOICE_RESET;
}

static bool connected_at_once(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->reach == REACH_CONNECTED && attempt->connect_ms <= AT_ONCE_MS &&
           !fact_attempt_is_right(attempt) && !is_without_a_word(attempt);
}

/* A proxy accepts in the place of the server, and finds nobody to pass the connection on to. */
static bool accepted_at_once(const struct diagnosis_facts *facts, const struct fact_attempt *attempt)
{
    return attempt->reach == REACH_CONNECTED && attempt->connect_ms <= AT_ONCE_MS &&
           is_without_a_word(attempt);
}

/* Servers of several companies are not next door all at the same time. */
static bool are_controls_at_once(const struct diagnosis_facts *facts)
{
    size_t connected = 0, at_once = 0;
    for (size_t i = 0; i < facts->control_count; i++) {
        connected += facts->controls[i].reach == REACH_CONNECTED;
        at_once += accepted_at_once(facts, &facts->controls[i]);
    }
    return at_once >= CONTROLS_AT_ONCE_MIN && at_once == connected;
}

static void find_times(struct finding_group *group)
{
    bool is_far = round_trip_ms(group) >= FAR_MS, proxied = is_far || are_controls_at_once(group->facts);
    if (!proxied && group->facts->web_count == 0)
        return;
    finding_set(group, FINDING_REFUSED_AT_ONCE, is_far && finding_any(group, was_refused_at_once));
    finding_set(group, FINDING_CONNECTED_AT_ONCE, is_far && finding_any(group, connected_at_once));
    finding_set(group, FINDING_PROXY_AT_ONCE, false);
    if (proxied)
        finding_set_ports(group, FINDING_PROXY_AT_ONCE, accepted_at_once);
}

/* ---- other hosts ---- */

static bool answers_as_itself(const struct fact_attempt *control)
{
    return control->reach == REACH_CONNECTED && control->voice != VOICE_HTTP &&
           (control->ready == KNOWN_YES || fact_attempt_is_right(control) ||
            (control->port == 25 && control->greeting_code == 220));
}

static bool is_wrong(const struct diagnosis_facts *facts, const struct fact_attempt *control)
{
    return control->tls == FACT_TLS_DONE &&
           (control->certificate.names_host == KNOWN_NO ||
            (control->certificate.chain_trusted == KNOWN_NO && !facts->own_ca));
}

/* True if the certificate would be valid at another time. */
static bool is_dated(const struct fact_attempt *control)
{
    return control->certificate.state == FACT_CERTIFICATE_EXPIRED ||
           control->certificate.state == FACT_CERTIFICATE_NOT_YET_VALID;
}

static bool is_web_server(const struct fact_attempt *control)
{
    return control->voice == VOICE_HTTP && control->port != 80 && control->port != 443;
}

static bool is_untrusted(const struct fact_attempt *control)
{
    return control->tls == FACT_TLS_DONE && control->certificate.names_host == KNOWN_YES &&
           control->certificate.chain_trusted == KNOWN_NO;
}

static void find_same_ports(struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    size_t compared = 0, works = 0, fails = 0;
    for (size_t i = 0; i < group->seen.count; i++) {
        const struct port_seen *port = &group->seen.ports[i];
        bool counts = port_seen_counts(facts, port) || port->port == 25;
        if (!counts || port->state == PORT_SEEN_READY)
            continue;
        bool any_works = false, any_fails = false;
        for (size_t k = 0; k < facts->control_count; k++)
            if (facts->controls[k].port == port->port && facts->controls[k].reach != REACH_UNKNOWN) {
                any_works = any_works || answers_as_itself(&facts->controls[k]);
                any_fails = any_fails || facts->controls[k].reach != REACH_CONNECTED;
            }
        compared += any_works || any_fails;
        works += any_works;
        fails += any_fails && !any_works;
    }
    if (compared == 0)
        return;
    finding_set(group, FINDING_CONTROL_SAME_WORKS, works > 0);
    finding_set(group, FINDING_CONTROL_SAME_FAILS, fails > 0 && works == 0);
}

/* Where no host in particular is meant, the attempts are at known hosts, and are their own controls. */
static void find_controls_among_attempts(struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    size_t tried = 0, connected = 0, right = 0, wrong = 0, untrusted = 0, http = 0, dated = 0;
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *attempt = &facts->attempts[i];
        tried += attempt->reach != REACH_UNKNOWN;
        connected += attempt->reach == REACH_CONNECTED;
        right += attempt->ready == KNOWN_YES;
        wrong += is_wrong(facts, attempt);
        untrusted += is_untrusted(attempt);
        http += is_web_server(attempt);
        dated += is_dated(attempt);
    }
    finding_set(group, FINDING_CONTROL_WORKS, right > 0);
    finding_set(group, FINDING_CONTROL_ALL_FAIL, tried > 0 && connected == 0);
    finding_set(group, FINDING_CONTROL_SAME_FAILS, connected < tried);
    finding_set(group, FINDING_CONTROL_FOREIGN, wrong > 0);
    finding_set(group, FINDING_CONTROL_HTTP, http > 0);
    finding_set(group, FINDING_CERTIFICATES_ALL_UNKNOWN, untrusted > 0 && right == 0);
    finding_set(group, FINDING_CERTIFICATES_ALL_DATED, dated > 0 && right == 0);
}

static void find_controls(struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    size_t tried = 0, connected = 0, right = 0, wrong = 0, untrusted = 0, http = 0, dated = 0;
    for (size_t i = 0; i < facts->control_count; i++) {
        const struct fact_attempt *control = &facts->controls[i];
        tried += control->reach != REACH_UNKNOWN;
        connected += control->reach == REACH_CONNECTED;
        right += answers_as_itself(control);
        wrong += is_wrong(facts, control);
        untrusted += is_untrusted(control);
        http += is_web_server(control);
        dated += is_dated(control);
    }
    finding_set_known(group, FINDING_WEB_ELSEWHERE, facts->web_elsewhere);
    if (facts->purpose == PURPOSE_LEAVE)
        find_controls_among_attempts(group);
    if (tried == 0)
        return;
    finding_set(group, FINDING_CONTROL_WORKS, right > 0);
    finding_set(group, FINDING_CONTROL_ALL_FAIL, connected == 0);
    finding_set(group, FINDING_CONTROL_FOREIGN, wrong > 0);
    finding_set(group, FINDING_CONTROL_HTTP, http > 0);
    finding_set(group, FINDING_CERTIFICATES_ALL_UNKNOWN, untrusted > 0 && right == 0);
    finding_set(group, FINDING_CERTIFICATES_ALL_DATED, dated > 0 && right == 0);
    find_same_ports(group);
}

/* By the certificates that routers make for themselves. */
#define ROUTER_WORDS                                                                                    \
    "fritz.box|myfritz|speedport|routerlogin|tplinkwifi|tplinkmodem|livebox|freebox|router|unifi|ubnt|" \
    "openwrt|pfsense|opnsense|mikrotik|draytek|edgeos|zyxel"

static bool is_router(const struct fact_attempt *web)
{
    const struct fact_certificate *certificate = &web->certificate;
    return web->tls == FACT_TLS_DONE && certificate->names_host == KNOWN_NO &&
           certificate->chain_trusted == KNOWN_NO &&
           (finding_has_word(certificate->names, ROUTER_WORDS) ||
            finding_has_word(certificate->subject, ROUTER_WORDS));
}

static void find_web(struct finding_group *group)
{
    const struct diagnosis_facts *facts = group->facts;
    size_t tried = 0, connected = 0, wrong = 0, routers = 0;
    for (size_t i = 0; i < facts->web_count; i++) {
        if (!fact_attempt_is_of(&facts->web[i], group->findings->family))
            continue;
        tried += facts->web[i].reach != REACH_UNKNOWN;
        connected += facts->web[i].reach == REACH_CONNECTED;
        wrong += facts->provider != NULL && is_wrong(facts, &facts->web[i]);
        routers += facts->provider == NULL && is_router(&facts->web[i]);
    }
    if (tried == 0)
        return;
    finding_set(group, FINDING_WEB_WORKS, connected > 0);
    finding_set(group, FINDING_WEB_FAILS, connected == 0);
    finding_set(group, FINDING_WEB_FOREIGN, wrong > 0);
    finding_set(group, FINDING_ROUTER_ANSWERS, routers > 0);
}

/* ---- the two families ---- */

static bool connects(const struct diagnosis_facts *facts, bool six, bool *tried, bool *local)
{
    bool any = false;
    *tried = false;
    *local = true;
    for (size_t i = 0; i < facts->attempt_count; i++) {
        const struct fact_attempt *attempt = &facts->attempts[i];
        if (attempt->six != six || attempt->reach == REACH_UNKNOWN)
            continue;
        *tried = true;
        *local = *local && attempt->reach == REACH_UNREACHABLE &&
                 attempt->unreachable == UNREACHABLE_NO_ROUTE;
        any = any || attempt->reach == REACH_CONNECTED;
    }
    return any;
}

static void find_families(struct finding_group *group)
{
    bool tried_4, tried_6, no_route_4, no_route_6;
    bool four = connects(group->facts, false, &tried_4, &no_route_4),
         six = connects(group->facts, true, &tried_6, &no_route_6);
    bool other = group->findings->family == FAMILY_4   ? six
                 : group->findings->family == FAMILY_6 ? four
                                                       : false;
    finding_set(group, FINDING_OTHER_FAMILY_WORKS, other);
    finding_set(group, FINDING_SIX_DEAD, four && tried_6 && !six && !no_route_6);
    bool has_4 = false, has_6 = false;
    for (size_t i = 0; i < group->facts->address_count; i++) {
        has_6 = has_6 || group->facts->addresses[i].six;
        has_4 = has_4 || !group->facts->addresses[i].six;
    }
    finding_set(group, FINDING_ONLY_SIX, has_6 && !has_4);
    finding_set(group, FINDING_ONLY_FOUR, has_4 && !has_6);
}

/* Over all hosts: what is blocked is not this one alone. */
static bool does_no_mail_leave(const struct findings *findings)
{
    return findings_say(findings, FINDING_BLOCKED_ALL) && !findings_say(findings, FINDING_CONTROL_WORKS) &&
           (findings_say(findings, FINDING_CONTROL_ALL_FAIL) ||
            findings_say(findings, FINDING_CONTROL_SAME_FAILS));
}

void finding_sum_of_reach(struct finding_group *group)
{
    const struct findings *findings = group->findings;
    bool rejected = findings_say(findings, FINDING_PASSWORD_REFUSED_BEFORE),
         often = findings_say(findings, FINDING_CALLED_OFTEN);
    finding_set(group, FINDING_NO_MAIL_LEAVES, does_no_mail_leave(findings));
    finding_set(group, FINDING_NOTHING_LEAVES,
                findings_say(findings, FINDING_BLOCKED_ALL) &&
                    findings_say(findings, FINDING_CONTROL_ALL_FAIL) &&
                    group->facts->web_elsewhere == KNOWN_NO);
    finding_set(group, FINDING_BAN_POSSIBLE, rejected || often);
    /* a host that only refuses may be called as often as one likes: nothing listens there */
    finding_set(group, FINDING_BAN_LIKELY,
                rejected || (often && !findings_say(findings, FINDING_REFUSED_ALL)));
}

void finding_reach(struct finding_group *group)
{
    find_ports(group);
    finding_set_any(group, FINDING_REJECTED_BY_HOST, was_rejected_by_host);
    finding_set_any(group, FINDING_REJECTED_ON_WAY, was_rejected_on_the_way);
    find_times(group);
    find_controls(group);
    find_web(group);
    find_families(group);
}
