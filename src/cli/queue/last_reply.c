/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queue/last_reply.h"

#include "core/queue/attempt_meaning.h"

const struct reply_meaning *last_reply_meaning(const struct queue_view *view,
                                               const struct store_message *message,
                                               const struct store_recipient *r)
{
    struct attempt_names names = {.id = message->id,
                                  .hostname = bytes_of_text(view->config->hostname),
                                  .sender = message->envelope.sender,
                                  .recipient = r->recipient.address,
                                  .original = r->recipient.original,
                                  .destination = r->destination};
    return attempt_meaning_find(&r->last, &names);
}

static const char *about_words(enum reply_about about)
{
    switch (about) {
    case ABOUT_RECIPIENT: return "the recipient";
    case ABOUT_SENDER_ADDRESS: return "the sender's address";
    case ABOUT_SENDER_DOMAIN: return "the sender's domain";
    case ABOUT_SENDER_ACCOUNT: return "the sending account";
    case ABOUT_SENDING_IP: return "the sending IP address";
    case ABOUT_MESSAGE: return "the message";
    case ABOUT_PATH: return "the connection";
    case ABOUT_RECEIVER: return "the receiver";
    }
    return "";
}

void last_reply_add(struct buffer *out, const struct reply_meaning *meaning)
{
    buffer_add_format(out, "%s (%s, about %s)", meaning->reason, reply_meaning_class_name(meaning->class),
                      about_words(meaning->about));
}

json_t *last_reply_json(const struct reply_meaning *meaning)
{
    if (meaning == NULL)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "class", reply_meaning_class_name(meaning->class),
                     "about", reply_meaning_about_name(meaning->about), "retry",
                     reply_meaning_retry_name(meaning->retry), "reason", meaning->reason, "hint",
                     meaning->operator_hint, "row", meaning->row);
}
