/* SPDX-License-Identifier: Apache-2.0 */
/* outbound_check: what an outbound connection owns in each of its stages. */
#include <assert.h>

#include "service/relay/relay.h"

static bool has_conn(const struct outbound_connection *connection)
{
    return connection->peer.conn.loop != NULL;
}

static bool has_message(const struct outbound_connection *connection)
{
    return connection->message.number != 0;
}

enum { NO, YES, MAY };

static bool is_as(int expected, bool is)
{
    return expected == MAY || (expected == YES) == is;
}

void outbound_check(const struct outbound_connection *connection)
{
    // clang-format off
    static const struct {
        int message, conn, eyeballs, asks;
    } held[] = {
        [OUTBOUND_ROUTING]       = {MAY, NO,  NO,  NO},
        [OUTBOUND_AWAITS_PORT]   = {YES, NO,  NO,  NO},
        [OUTBOUND_AWAITS_SECRET] = {YES, NO,  NO,  NO},
        [OUTBOUND_AWAITS_ANSWER] = {YES, NO,  NO,  MAY}, /* a name that cannot be looked up */
        [OUTBOUND_CONNECTING]    = {YES, MAY, MAY, NO},
        [OUTBOUND_HANDSHAKING]   = {YES, YES, NO,  NO},
        [OUTBOUND_TALKING]       = {MAY, YES, NO,  NO},
        [OUTBOUND_AWAITS_SIGNATURE] = {YES, YES, NO,  NO},
        [OUTBOUND_AWAITS_ROOM]   = {YES, YES, NO,  NO},
        [OUTBOUND_IDLE]          = {NO,  YES, NO,  NO},
        [OUTBOUND_RESTARTING]    = {YES, NO,  NO,  NO},
        [OUTBOUND_ENDED]         = {NO,  NO,  NO,  NO},
    };
    // clang-format on
    const struct outbound_peer *peer = &connection->peer;
    enum outbound_stage stage = connection->stage;
    assert((size_t)stage < ARRAY_LENGTH(held));
    assert(is_as(held[stage].message, has_message(connection)));
    assert(is_as(held[stage].conn, has_conn(connection)));
    assert(is_as(held[stage].eyeballs, peer->eyeballs != NULL));
    assert(is_as(held[stage].asks, connection->question.asked || connection->sts.inquiry != NULL));
    assert((stage == OUTBOUND_AWAITS_SIGNATURE) == (connection->signature.signature != NULL));
    assert(stage != OUTBOUND_CONNECTING || has_conn(connection) != (peer->eyeballs != NULL));
    assert(peer->tls.protocol == TLS_PROTOCOL_NONE || stage != OUTBOUND_CONNECTING);
}
