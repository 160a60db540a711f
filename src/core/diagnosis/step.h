/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step: what a person can do about a cause. Each step has a guard, so that a
 * harmful one cannot be said whatever rule asks for it: `needs` must hold, `not`
 * must not hold, and `surely_not` must be known not to hold.
 */
#ifndef MAILBOAT_CORE_DIAGNOSIS_STEP_H
#define MAILBOAT_CORE_DIAGNOSIS_STEP_H

#include "core/diagnosis/finding.h"

/* The party that has to take the step. */
enum step_actor { ACTOR_YOU, ACTOR_NETWORK, ACTOR_SERVER, ACTOR_DOMAIN };

enum step_kind {
    STEP_NONE,
    STEP_USE_PORT,
    STEP_DO_NOT_SIGN_IN,
    STEP_OTHER_PORTS,
    STEP_HTTPS_PROVIDER,
    STEP_HTTPS_ANY,
    STEP_HOSTER_RELAY,
    STEP_LIFT_CPANEL,
    STEP_NETWORK_LIFTS,
    STEP_ASK_NETWORK,
    STEP_OTHER_NETWORK,
    STEP_CSF_LIST,
    STEP_ALLOW_LIST,
    STEP_REMOVE_RULE,
    STEP_ROUTER_LIST,
    STEP_SMARTHOST,
    STEP_OFFERED_PORTS,
    STEP_START_LISTENER,
    STEP_LISTEN_OUTSIDE,
    STEP_CONTAINER_NAME,
    STEP_LOOPBACK_RECORD,
    STEP_HOSTS_FILE,
    STEP_NAME_25,
    STEP_JOIN_NETWORK,
    STEP_INSIDE_NAME,
    STEP_EXCLUDE_PORTS,
    STEP_FIX_RECORD,
    STEP_CHECK_NAME,
    STEP_USE_NEAR,
    STEP_SERVER_NAME,
    STEP_FIX_RESOLVER,
    STEP_SERVED_RESOLVER,
    STEP_ASK_DOMAIN,
    STEP_OTHER_RESOLVER,
    STEP_FAKE_PROXY,
    STEP_UNPROXY,
    STEP_NETWORK_UP,
    STEP_PROXY,
    STEP_SIGN_IN_PORTAL,
    STEP_EXCLUDE_SCANNER,
    STEP_EXEMPT_INSPECTION,
    STEP_USE_IMPLICIT,
    STEP_CISCO,
    STEP_ENABLE_TLS,
    STEP_ENABLE_OWN_TLS,
    STEP_SWAP_MODE,
    STEP_UPDATE_TLS,
    STEP_LOWER_MTU,
    STEP_RENEW,
    STEP_FIX_CLOCK,
    STEP_INSTALL_CA,
    STEP_SEND_CHAIN,
    STEP_ASK_NAME,
    STEP_PIN_OWN,
    STEP_FIX_IPV6,
    STEP_WAIT,
    STEP_FEWER,
    STEP_BANNED,
    STEP_LIFT_BAN,
    STEP_ASK_SERVER,
    STEP_LOOK_UP_LIST,
    STEP_REVERSE_DNS,
    STEP_SUBMIT,
    STEP_SET_HELO,
    STEP_OTHER_PORT_SPEAKS,
    STEP_CHECK_PASSWORD,
    STEP_APPLICATION_PASSWORD,
    STEP_OAUTH,
    STEP_OPEN_ACCOUNT,
    STEP_ALLOW_ADDRESS,
    STEP_SIGN_IN_BROWSER,
    STEP_ASK_SUPPORT,
    STEP_OFFER_PLAIN,
    STEP_NAME_NOT_ADDRESS,
    STEP_GIVE_USER,
    STEP_OWN_SENDER,
    STEP_TLS_ENDS,
    STEP_SENDER_DOMAIN,
    STEP_RECIPIENT_MAKES_ROOM,
    STEP_SERVER_MAKES_ROOM,
    STEP_NEXT_PERIOD,
    STEP_CHECK_RECIPIENT,
    STEP_SMALLER,
    STEP_AUTHENTICATE_DOMAIN,
    STEP_READ_REPLY,
    STEP_TRY_AGAIN,
    STEP_COUNT
};

bool step_is_allowed(enum step_kind step, const struct findings *findings);
const char *step_words(enum step_kind step); /* with {…}, see words.h */
enum step_actor step_actor_of(enum step_kind step);
const char *step_name(enum step_kind step); /* "use-port" */

#endif
