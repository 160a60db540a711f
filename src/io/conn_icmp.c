/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "io/conn_icmp.h"

#include <netinet/in.h>
#include <string.h>
#include <time.h>
// clang-format off
#include <linux/errqueue.h> /* needs time.h before it */
// clang-format on

#include "io/conn.h"

static void set(int descriptor, int family, int value)
{
    if (family == AF_INET)
        setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &value, sizeof value);
    else if (family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVERR, &value, sizeof value);
}

void conn_icmp_expect(struct conn_icmp *icmp, int descriptor, int family)
{
    *icmp = (struct conn_icmp){.family = family == AF_INET || family == AF_INET6 ? family : 0};
    set(descriptor, icmp->family, 1);
}

void conn_icmp_ignore(struct conn_icmp *icmp, int descriptor)
{
    set(descriptor, icmp->family, 0);
    icmp->family = 0;
}

/* The message's sender follows the error (SO_EE_OFFENDER). */
static void read_error(const struct cmsghdr *part, struct conn_icmp *icmp)
{
    struct sock_extended_err error;
    struct sockaddr_storage from = {0};
    size_t length = part->cmsg_len - CMSG_LEN(0), rest = length - sizeof error;
    if (length < sizeof error)
        return;
    memcpy(&error, CMSG_DATA(part), sizeof error);
    if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6)
        return;
    memcpy(&from, CMSG_DATA(part) + sizeof error, rest < sizeof from ? rest : sizeof from);
    icmp->told = true;
    icmp->six = error.ee_origin == SO_EE_ORIGIN_ICMP6;
    icmp->type = error.ee_type;
    icmp->code = error.ee_code;
    conn_address(&from, &icmp->from);
}

void conn_icmp_take(struct conn_icmp *icmp, int descriptor)
{
    union {
        struct cmsghdr aligned;
        char octets[512];
    } control;
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
    if (icmp->family == 0 || recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part))
        if ((part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
            (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR))
            read_error(part, icmp);
}
