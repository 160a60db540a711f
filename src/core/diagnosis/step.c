/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diagnosis/step.h"

#include <assert.h>

enum { GUARDS_MAX = 6 };

#define F(name) FINDING_##name
static const struct step_row {
    const char *name, *words;
    enum step_actor actor;
    enum finding needs[GUARDS_MAX], not_[GUARDS_MAX], surely_not[GUARDS_MAX];
} rows[STEP_COUNT] = {
    [STEP_NONE] = {.name = "none", .words = ""},
    [STEP_USE_PORT] = {.name = "use-port", .words = "use {use}", .needs = {F(READY)}},
    [STEP_DO_NOT_SIGN_IN] = {.name = "do-not-sign-in",
                             .words = "do not sign in on {doubtful}: the password would go to another server",
                             .needs = {F(IDENTITY_IN_DOUBT)}},
    [STEP_OTHER_PORTS] = {.name = "other-ports",
                          .words = "try {provider}'s other ports: {other_ports}",
                          .needs = {F(KNOWN_PROVIDER)}},
    [STEP_HTTPS_PROVIDER] = {.name = "https-provider",
                             .words = "send through {provider}'s HTTPS interface (https://{https})",
                             .needs = {F(KNOWN_PROVIDER)},
                             .not_ = {F(NOTHING_LEAVES)}},
    [STEP_HTTPS_ANY] = {.name = "https",
                        .words = "use a sending service's HTTPS interface: web ports are not blocked",
                        .not_ = {F(NOTHING_LEAVES)}},
    [STEP_HOSTER_RELAY] = {.name = "hoster-relay",
                           .words = "or send through the web host's own mail server, with a mailbox made "
                                    "there and the server name that the host's help names"},
    [STEP_LIFT_CPANEL] = {.name = "lift-cpanel",
                          .words = "have the web host lift it: on cPanel in WHM under Security Center, SMTP "
                                   "Restrictions; with the csf firewall SMTP_BLOCK and SMTP_ALLOWUSER",
                          .actor = ACTOR_NETWORK},
    [STEP_NETWORK_LIFTS] = {.name = "network-lifts",
                            .words = "{network} unblocks it: {lifted}",
                            .actor = ACTOR_NETWORK,
                            .needs = {F(MACHINE_NETWORK)}},
    [STEP_ASK_NETWORK] = {.name = "ask-network",
                          .words = "ask whoever runs this network (hosting provider, internet provider or "
                                   "administrator) to open outgoing {blocked}",
                          .actor = ACTOR_NETWORK},
    [STEP_OTHER_NETWORK] = {.name = "other-network",
                            .words =
                                "run the same test from another network, such as a phone's hotspot: if it "
                                "works there, this network is the cause; if not, the server is"},
    [STEP_CSF_LIST] = {.name = "csf-list",
                       .words = "the owner of this machine can add {refused} to TCP_OUT and TCP6_OUT in "
                                "/etc/csf/csf.conf",
                       .needs = {F(MACHINE_CSF)}},
    [STEP_ALLOW_LIST] = {.name = "allow-list",
                         .words =
                             "if {refused} are needed, the owner of the firewall adds them to its list of "
                             "outgoing ports (csf: TCP_OUT)",
                         .actor = ACTOR_NETWORK},
    [STEP_REMOVE_RULE] = {.name = "remove-rule",
                          .words = "change this rule of the machine's firewall: {rule}"},
    [STEP_ROUTER_LIST] = {.name = "router-list",
                          .words =
                              "look in the router for a list of permitted mail servers (Telekom Speedport: "
                              "\"sichere E-Mail-Server\") and add {host}, or switch the list off"},
    [STEP_SMARTHOST] = {.name = "smarthost",
                        .words = "let a smarthost deliver (mailboat.conf: relay.via, relay.smarthost)",
                        .not_ = {F(SMARTHOST_SET)}},
    [STEP_OFFERED_PORTS] = {.name = "offered-ports",
                            .words = "use a port that {provider} offers: {offered}",
                            .needs = {F(KNOWN_PROVIDER)}},
    [STEP_START_LISTENER] = {.name = "start-listener",
                             .words = "start the mail server on this machine (systemctl status mailboat), or "
                                      "correct its listeners",
                             .needs = {F(HOST_OWN)}},
    [STEP_LISTEN_OUTSIDE] = {.name = "listen-outside",
                             .words =
                                 "let the mail server on this machine listen on its outside addresses, too",
                             .needs = {F(HOST_OWN), F(LISTENER_LOOPBACK)}},
    [STEP_CONTAINER_NAME] = {.name = "container-name",
                             .words =
                                 "in a container, {host} is the container itself: use the name of the mail "
                                 "container, or the host machine's address",
                             .needs = {F(NAMED_LOCALHOST), F(MACHINE_CONTAINER)}},
    [STEP_LOOPBACK_RECORD] = {.name = "loopback-record",
                              .words = "if the mail server is another machine, have the DNS record of {host} "
                                       "corrected, or the name permitted where the resolver blocks it",
                              .needs = {F(NAMED_TO_LOOPBACK)}},
    [STEP_HOSTS_FILE] = {.name = "hosts-file",
                         .words = "correct or remove the line of {host} in /etc/hosts, if its mail server is "
                                  "another machine",
                         .needs = {F(FROM_HOSTS_FILE)}},
    [STEP_NAME_25] = {.name = "name-25",
                      .words = "if it is a relay that takes mail without signing in, name its port 25 "
                               "({host}:25); otherwise compare the server's name with what its operator says",
                      .needs = {F(PRIVATE_HOST)}},
    [STEP_JOIN_NETWORK] = {.name = "join-network",
                           .words = "connect to the network of that address first (its VPN, the container "
                                    "network), or use the server's public name",
                           .needs = {F(PRIVATE_HOST)}},
    [STEP_INSIDE_NAME] = {.name = "inside-name",
                          .words = "from inside this network use the server's internal address: an own DNS "
                                   "record for its name, or NAT loopback in the router; and see that the "
                                   "router forwards the ports"},
    [STEP_EXCLUDE_PORTS] = {.name = "exclude-ports",
                            .words = "exclude the mail ports from that proxy (Istio: "
                                     "traffic.sidecar.istio.io/excludeOutboundPorts), or let it pass them as "
                                     "plain TCP"},
    [STEP_FIX_RECORD] = {.name = "fix-record",
                         .words = "have the {wrong_record} record of {host} corrected or removed: programs "
                                  "that prefer {wrong_family} meet the other server",
                         .actor = ACTOR_DOMAIN,
                         .needs = {F(FAMILIES_DIFFER)}},
    [STEP_CHECK_NAME] = {.name = "check-name",
                         .words = "compare the server's name with what the mail provider's help says"},
    [STEP_USE_NEAR] = {.name = "use-near", .words = "try {near}", .needs = {F(NEAR_PROVIDER)}},
    [STEP_SERVER_NAME] = {.name = "server-name",
                          .words = "ask for the outgoing server of the domain: mailboat ports you@{host}",
                          .needs = {F(MAIL_DOMAIN)}},
    [STEP_FIX_RESOLVER] = {.name = "fix-resolver",
                           .words = "check the network and the resolver in /etc/resolv.conf ({resolver}): "
                                    "without DNS nothing is found"},
    [STEP_SERVED_RESOLVER] = {.name = "served-resolver",
                              .words = "name a resolver that serves this machine in /etc/resolv.conf: the "
                                       "network's own, or a public one such as 9.9.9.9"},
    [STEP_ASK_DOMAIN] = {.name = "ask-domain",
                         .words = "tell the operator of the domain that its DNS does not answer for {host}",
                         .actor = ACTOR_DOMAIN},
    [STEP_OTHER_RESOLVER] = {.name = "other-resolver",
                             .words =
                                 "ask whoever runs the resolver {resolver} why its answer differs; another "
                                 "network or resolver shows the difference"},
    [STEP_FAKE_PROXY] = {.name = "fake-proxy",
                         .words =
                             "exempt {host} or its ports in the proxy program (its \"fake IP\" mode), or "
                             "switch it off for mail"},
    [STEP_UNPROXY] = {.name = "unproxy",
                      .words = "the owner of the domain sets the mail server's record to \"DNS only\" at "
                               "Cloudflare, or gives mail a name of its own",
                      .actor = ACTOR_DOMAIN},
    [STEP_NETWORK_UP] = {.name = "network-up", .words = "bring the network up: ip address, ip route"},
    [STEP_PROXY] = {.name = "proxy",
                    .words =
                        "mail does not go through a web proxy: ask the administrator for a direct route or "
                        "for the network's own mail server",
                    .actor = ACTOR_NETWORK,
                    .needs = {F(MACHINE_PROXY)}},
    [STEP_SIGN_IN_PORTAL] = {.name = "sign-in-portal",
                             .words =
                                 "open any page in a browser and sign in to this network, then try again"},
    [STEP_EXCLUDE_SCANNER] = {.name = "exclude-scanner",
                              .words =
                                  "exclude this program in the virus scanner, or switch off its scanning of "
                                  "outgoing mail over TLS (Avast: Mail Shield)"},
    [STEP_EXEMPT_INSPECTION] = {.name = "exempt-inspection",
                                .words = "ask the administrator of this network to exempt {host} from TLS "
                                         "inspection",
                                .actor = ACTOR_NETWORK},
    [STEP_USE_IMPLICIT] = {.name = "use-implicit",
                           .words =
                               "use 465 where the server offers it: implicit TLS cannot be removed on the "
                               "path"},
    [STEP_CISCO] = {.name = "cisco",
                    .words = "the owner of the firewall switches its mail inspection off (Cisco: no inspect "
                             "esmtp, or allow-tls)",
                    .actor = ACTOR_NETWORK},
    [STEP_ENABLE_TLS] = {.name = "enable-tls",
                         .words = "ask the operator of {host} to enable TLS",
                         .actor = ACTOR_SERVER,
                         .not_ = {F(HOST_OWN)}},
    [STEP_ENABLE_OWN_TLS] = {.name = "enable-own-tls",
                             .words =
                                 "give the server on this machine a certificate and key (mailboat.conf: tls)",
                             .needs = {F(HOST_OWN)}},
    [STEP_SWAP_MODE] = {.name = "swap-mode", .words = "set {swap}"},
    [STEP_UPDATE_TLS] = {.name = "update-tls",
                         .words = "ask the operator of {host} for TLS 1.2 or later with current ciphers",
                         .actor = ACTOR_SERVER},
    [STEP_LOWER_MTU] = {.name = "lower-mtu",
                        .words = "lower the MTU and see: ip link set dev {device} mtu 1280; then let ICMP "
                                 "\"fragmentation needed\" and \"packet too big\" through the firewalls, or "
                                 "clamp the MSS on the router"},
    [STEP_RENEW] = {.name = "renew",
                    .words = "ask the operator of {host} to renew the certificate",
                    .actor = ACTOR_SERVER},
    [STEP_FIX_CLOCK] = {.name = "fix-clock",
                        .words = "set this machine's clock (timedatectl set-ntp true) and try again"},
    [STEP_INSTALL_CA] = {.name = "install-ca",
                         .words = "install or update the system's own CA certificates (package "
                                  "ca-certificates)"},
    [STEP_SEND_CHAIN] = {.name = "send-chain",
                         .words =
                             "the operator of {host} configures the whole chain (fullchain.pem), not the "
                             "server's certificate alone",
                         .actor = ACTOR_SERVER,
                         .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_ASK_NAME] = {.name = "ask-name",
                       .words = "ask the operator of {host} under which name the server is to be used: the "
                                "certificate has {names}",
                       .actor = ACTOR_SERVER,
                       .needs = {F(CERTIFICATE_OTHER_NAME)},
                       .not_ = {F(KNOWN_PROVIDER), F(CONTROL_FOREIGN), F(MACHINE_CPANEL)},
                       .surely_not = {F(IDENTITY_IN_DOUBT)}},
    [STEP_PIN_OWN] = {.name = "pin-own",
                      .words =
                          "if the server is yours: get a certificate from a public CA, or copy its "
                          "certificate from the server itself (never from this connection) and name that "
                          "file with --ca-file",
                      .not_ = {F(KNOWN_PROVIDER), F(CONTROL_FOREIGN), F(WEB_FOREIGN)},
                      .surely_not = {F(IDENTITY_IN_DOUBT)}},
    [STEP_FIX_IPV6] = {.name = "fix-ipv6",
                       .words = "correct IPv6 or let the program use IPv4 for {host}: programs that try IPv6 "
                                "first hang"},
    [STEP_WAIT] = {.name = "wait", .words = "try again in some minutes; the message is not rejected"},
    [STEP_FEWER] = {.name = "fewer",
                    .words = "wait, and open fewer connections: each further try can lengthen the block"},
    [STEP_BANNED] = {.name = "banned",
                     .words = "if a program here used a wrong password, the server may have banned this "
                              "address for a while (fail2ban): correct it in every program, then wait, or "
                              "ask the operator to lift the ban",
                     .needs = {F(REJECTED_BY_HOST)},
                     .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_LIFT_BAN] = {.name = "lift-ban",
                       .words =
                           "if this address is banned: correct the password in every program here, let "
                           "them call less often and wait, or ask the operator of {host} to lift the ban",
                       .needs = {F(BAN_POSSIBLE)},
                       .not_ = {F(IDENTITY_IN_DOUBT), F(HOST_OWN)}},
    [STEP_ASK_SERVER] = {.name = "ask-server",
                         .words = "ask the operator of {host}",
                         .actor = ACTOR_SERVER,
                         .not_ = {F(HOST_OWN)}},
    [STEP_LOOK_UP_LIST] = {.name = "look-up-list",
                           .words =
                               "look up this network's public address at the list that the reply names, and "
                               "have it removed there once its cause is"},
    [STEP_REVERSE_DNS] = {.name = "reverse-dns",
                          .words =
                              "have the provider of this address set a reverse DNS name that resolves back "
                              "to it",
                          .actor = ACTOR_NETWORK},
    [STEP_SUBMIT] = {.name = "submit",
                     .words = "to send as a user, sign in on 587, 2525 or 465 instead of delivering on 25",
                     .not_ = {F(FOR_SERVERS), F(SIGNED_IN)}},
    [STEP_SET_HELO] = {.name = "set-helo",
                       .words = "let this machine greet with its full host name, one that is in DNS"},
    [STEP_OTHER_PORT_SPEAKS] = {.name = "other-port-speaks",
                                .words = "use a port on which a mail server answers: 587, 2525 or 465"},
    [STEP_CHECK_PASSWORD] = {.name = "check-password",
                             .words =
                                 "check user name and password in the provider's web page; the same password "
                                 "is not to be tried again and again",
                             .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_APPLICATION_PASSWORD] = {.name = "application-password",
                                   .words =
                                       "make an application password in the account's settings and use it "
                                       "in place of the usual one",
                                   .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_OAUTH] = {.name = "oauth",
                    .words = "sign in with OAuth 2 (mailboat send --oauth-command), or ask the account's "
                             "administrator to permit SMTP AUTH",
                    .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_GIVE_USER] = {.name = "give-user",
                        .words = "sign in: give a user name and a password",
                        .not_ = {F(IDENTITY_IN_DOUBT), F(FOR_SERVERS), F(SIGNED_IN)}},
    [STEP_OPEN_ACCOUNT] = {.name = "open-account",
                           .words = "look into the account's settings at the provider: sending by mail "
                                    "programs (SMTP) may have to be enabled, or the account activated",
                           .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_ALLOW_ADDRESS] = {.name = "allow-address",
                            .words = "add the public address of this machine or network to those that the "
                                     "account permits, in its settings at the provider",
                            .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_SIGN_IN_BROWSER] = {.name = "sign-in-browser",
                              .words = "sign in once at the provider's own web page, typed by hand, and "
                                       "confirm there that the attempt was yours; then try again",
                              .not_ = {F(IDENTITY_IN_DOUBT)}},
    [STEP_ASK_SUPPORT] = {.name = "ask-support",
                          .words = "ask the support of {host}, with its reply",
                          .actor = ACTOR_SERVER,
                          .not_ = {F(HOST_OWN)}},
    [STEP_OFFER_PLAIN] = {.name = "offer-plain",
                          .words = "ask the operator of {host} to offer PLAIN or LOGIN over TLS (Exchange: "
                                   "basic authentication of the receive connector)",
                          .actor = ACTOR_SERVER},
    [STEP_NAME_NOT_ADDRESS] = {.name = "name-not-address",
                               .words = "name the server by the host name that the mail provider's help "
                                        "writes, not by its address",
                               .needs = {F(NAMED_BY_ADDRESS)}},
    [STEP_OWN_SENDER] = {.name = "own-sender",
                         .words =
                             "send with the account's own address as the sender, or have the other address "
                             "allowed at the provider"},
    [STEP_TLS_ENDS] = {.name = "tls-ends",
                       .words =
                           "ask the operator of {host}, with this reply: TLS stands from here, so it ends "
                           "at a proxy in front of the server, or the server wants another TLS",
                       .actor = ACTOR_SERVER,
                       .not_ = {F(HOST_OWN)}},
    [STEP_SENDER_DOMAIN] = {.name = "sender-domain",
                            .words = "check the spelling of the sender's address, and that its domain has an "
                                     "MX or address record",
                            .needs = {F(REPLY_SENDER_DOMAIN)}},
    [STEP_RECIPIENT_MAKES_ROOM] = {.name = "recipient-makes-room",
                                   .words = "tell the recipient another way: nothing arrives there until the "
                                            "mailbox has room again"},
    [STEP_SERVER_MAKES_ROOM] = {.name = "server-makes-room",
                                .words = "the operator of {host} makes room on its disk",
                                .actor = ACTOR_SERVER},
    [STEP_NEXT_PERIOD] = {.name = "next-period",
                          .words =
                              "wait until the limit allows more, and send fewer messages or to fewer "
                              "recipients; the account's plan or settings at the provider tell the limit",
                          .not_ = {F(REPLY_LOCKED)}},
    [STEP_CHECK_RECIPIENT] = {.name = "check-recipient", .words = "check the recipient's address"},
    [STEP_SMALLER] = {.name = "smaller", .words = "make the message smaller, or send a link to the file"},
    [STEP_AUTHENTICATE_DOMAIN] = {.name = "authenticate-domain",
                                  .words = "publish SPF and DKIM for the sender's domain, or send through a "
                                           "server that may send for it"},
    [STEP_READ_REPLY] = {.name = "read-reply", .words = "see the server's reply"},
    [STEP_TRY_AGAIN] = {.name = "try-again",
                        .words = "run the test again in a minute; then ask the operator of {host} with the "
                                 "evidence below"},
};
#undef F

static bool all_hold(const enum finding *list, const struct findings *findings)
{
    for (size_t i = 0; i < GUARDS_MAX && list[i] != FINDING_NONE; i++)
        if (!findings_say(findings, list[i]))
            return false;
    return true;
}

bool step_is_allowed(enum step_kind step, const struct findings *findings)
{
    assert(step < STEP_COUNT);
    const struct step_row *row = &rows[step];
    assert(row->words != NULL); /* each step has a row */
    for (size_t i = 0; i < GUARDS_MAX && row->not_[i] != FINDING_NONE; i++)
        if (findings_say(findings, row->not_[i]))
            return false;
    for (size_t i = 0; i < GUARDS_MAX && row->surely_not[i] != FINDING_NONE; i++)
        if (findings->known[row->surely_not[i]] != KNOWN_NO)
            return false;
    return step != STEP_NONE && all_hold(row->needs, findings);
}

const char *step_words(enum step_kind step)
{
    return rows[step].words;
}

enum step_actor step_actor_of(enum step_kind step)
{
    return rows[step].actor;
}

const char *step_name(enum step_kind step)
{
    return rows[step].name;
}
