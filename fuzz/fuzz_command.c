/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: the properties of accepted arguments. */
#include "choices.h"
#include "core/smtp/command.h"

static void check_mail(struct bytes argument)
{
    struct mail_argument mail;
    struct address address;
    if (command_parse_mail(argument, &mail) != ARGUMENT_FINE)
        return;
    const struct envelope *e = &mail.parameters;
    INSIST(mail.sender.length == 0 || address_parse(mail.sender, e->smtputf8, &address));
    INSIST(e->envid.length <= ENVID_MAX && command_xtext_is_valid(e->envid));
}

static void check_rcpt(struct bytes argument, bool utf8)
{
    struct rcpt_argument rcpt;
    struct address address;
    if (command_parse_rcpt(argument, utf8, &rcpt) != ARGUMENT_FINE)
        return;
    INSIST(bytes_is_nocase(rcpt.address, "postmaster") || address_parse(rcpt.address, utf8, &address));
    INSIST(rcpt.orcpt.length <= ORCPT_MAX && !bytes_has_control(rcpt.orcpt) &&
           bytes_find(rcpt.orcpt, ' ') == SIZE_MAX);
    INSIST(utf8 || bytes_is_ascii(rcpt.orcpt)); /* it is said again to the next hop */
    INSIST((rcpt.notify & NOTIFY_NEVER) == 0 || rcpt.notify == NOTIFY_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes argument;
    uint64_t chunk;
    bool last;
    enum verb verb = command_verb(bytes_of(data, size), &argument);
    INSIST(verb < VERBS && argument.length <= size);
    if (verb == VERB_MAIL)
        check_mail(argument);
    if (verb == VERB_RCPT) {
        check_rcpt(argument, false);
        check_rcpt(argument, true);
    }
    if (verb == VERB_BDAT && command_parse_bdat(argument, &chunk, &last))
        INSIST(chunk <= INT64_MAX);
    return 0;
}
