/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/finding_group.h"

enum {
    USUAL_MTU = 1500,
    CA_OLD_DAYS = 3 * 365,
    CALLS_MANY = 30, /* within an hour: servers and their guards begin to count */
};

static unsigned blocked_set(const struct finding_group *group)
{
    unsigned set = 0;
    for (size_t i = 0; i < group->seen.count; i++) {
        enum port_state state = group->seen.ports[i].state;
        if (state == PORT_SEEN_SILENT || state == PORT_SEEN_REFUSED || state == PORT_SEEN_UNREACHABLE)
            set |= network_bit(group->seen.ports[i].port);
    }
    return set;
}

static void find_network(struct finding_group *group)
{
    const struct network *network = group->facts->machine.network;
    unsigned blocked = blocked_set(group), submission = blocked & ~(unsigned)BLOCKS_25;
    finding_set(group, FINDING_MACHINE_NETWORK, network != NULL);
    finding_set(group, FINDING_MACHINE_NETWORK_BLOCKS,
                network != NULL && submission != 0 && (submission & ~network->silent) == 0);
    finding_set(group, FINDING_MACHINE_NETWORK_BLOCKS_25,
                network != NULL && (blocked & network->silent & BLOCKS_25) != 0);
}

static void find_rules(struct finding_group *group)
{
    const struct fact_machine *machine = &group->facts->machine;
    bool blocks = false, redirects = false;
    if (machine->rules_read != KNOWN_YES)
        return;
    for (size_t i = 0; i < machine->rule_count; i++) {
        const struct port_seen *port = ports_seen_of(&group->seen, machine->rules[i].port);
        bool concerns = port != NULL && port->state != PORT_SEEN_READY && port->state != PORT_SEEN_UNTRIED;
        blocks = blocks || (concerns && machine->rules[i].does != FIREWALL_REDIRECTS);
        redirects = redirects || (concerns && machine->rules[i].does == FIREWALL_REDIRECTS);
    }
    finding_set(group, FINDING_RULE_BLOCKS, blocks);
    finding_set(group, FINDING_RULE_REDIRECTS, redirects);
}

static void find_listeners(struct finding_group *group)
{
    const struct fact_machine *machine = &group->facts->machine;
    bool any = false, open = false;
    if (machine->listeners_read != KNOWN_YES)
        return;
    for (size_t i = 0; i < machine->listener_count; i++) {
        any = true;
        open = open || !machine->listeners[i].loopback_only;
    }
    finding_set(group, FINDING_LISTENER_HERE, any);
    finding_set(group, FINDING_LISTENER_NONE, !any);
    finding_set(group, FINDING_LISTENER_LOOPBACK, any && !open);
}

static enum known opposite(enum known known)
{
    return known == KNOWN_YES ? KNOWN_NO : known == KNOWN_NO ? KNOWN_YES : KNOWN_NOT;
}

static void find_history(struct finding_group *group)
{
    const struct fact_history *history = &group->facts->history;
    bool worked = false;
    for (size_t i = 0; i < history->count; i++)
        worked = worked || history->ports[i].worked;
    finding_set(group, FINDING_WORKED_BEFORE, worked);
    finding_set_known(group, FINDING_PASSWORD_REFUSED_BEFORE, history->password_refused);
    finding_set(group, FINDING_CALLED_OFTEN, history->calls_last_hour >= CALLS_MANY);
}

void finding_machine(struct finding_group *group)
{
    const struct fact_machine *machine = &group->facts->machine;
    bool none = machine->route_4 == KNOWN_NO && machine->route_6 == KNOWN_NO;
    finding_set(group, FINDING_MACHINE_NO_ROUTE, none);
    finding_set_known(group, FINDING_MACHINE_NO_ROUTE_6, opposite(machine->route_6));
    finding_set_known(group, FINDING_MACHINE_CONTAINER, machine->container);
    finding_set_known(group, FINDING_MACHINE_TUNNEL, machine->virtual_network);
    finding_set(group, FINDING_MACHINE_SMALL_MTU, machine->mtu != 0 && machine->mtu < USUAL_MTU);
    finding_set_known(group, FINDING_MACHINE_CLOCK_WRONG, opposite(machine->clock_right));
    finding_set_known(group, FINDING_MACHINE_NO_CA, opposite(machine->ca_bundle));
    finding_set(group, FINDING_MACHINE_CA_OLD, machine->ca_age_days > CA_OLD_DAYS);
    finding_set_known(group, FINDING_MACHINE_PROXY, machine->proxy_set);
    finding_set_known(group, FINDING_MACHINE_CPANEL, machine->panel_cpanel);
    finding_set_known(group, FINDING_MACHINE_CSF, machine->panel_csf);
    find_network(group);
    find_rules(group);
    find_listeners(group);
    find_history(group);
}
