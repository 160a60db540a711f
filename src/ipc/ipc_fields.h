/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc_fields: types of a message's fields, and the layout of arrays in its struct. Included only by
 * ipc_message.c and ipc_codec.c.
 */
#ifndef MAILBOAT_IPC_IPC_FIELDS_H
#define MAILBOAT_IPC_IPC_FIELDS_H

#include <assert.h>

#include "ipc/ipc_message.h"

enum field_type {
    FIELD_U8,
    FIELD_U32,
    FIELD_U64,
    FIELD_BYTES,
    FIELD_ENVELOPE,
    FIELD_ORIGIN,
    FIELD_RECIPIENTS,
    FIELD_TLS,
    FIELD_RESULTS,
    FIELD_CHOSEN,
    FIELD_DESTINATIONS,
    FIELD_LOCKS,
    FIELD_TEXTS,
    FIELD_TRUST
};

struct ipc_field {
    enum field_type type;
    size_t offset; /* in the message's struct */
};

/* Returns the fields of a kind's message, in their order. */
const struct ipc_field *ipc_kind_fields(enum ipc_kind kind, size_t *count);

/* Arrays are a pointer followed by its count, as in struct ipc_deliver_answer. */
struct ipc_array {
    void *at;
    size_t count;
};
static_assert(offsetof(struct ipc_recipient_answer, target_count) -
                      offsetof(struct ipc_recipient_answer, targets) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct ipc_expand_answer, member_count) -
                      offsetof(struct ipc_expand_answer, members) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct ipc_expand_answer, missing_count) -
                      offsetof(struct ipc_expand_answer, missing) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct ipc_deliver_answer, result_count) -
                      offsetof(struct ipc_deliver_answer, results) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct envelope, recipient_count) - offsetof(struct envelope, recipients) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");

static_assert(offsetof(struct ipc_choose, chosen_count) - offsetof(struct ipc_choose, chosen) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct ipc_status_answer, destination_count) -
                      offsetof(struct ipc_status_answer, destinations) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct ipc_status_answer, in_progress_count) -
                      offsetof(struct ipc_status_answer, in_progress) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");

static_assert(offsetof(struct ipc_account_change, target_count) -
                      offsetof(struct ipc_account_change, targets) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct ipc_account_rows, cell_count) - offsetof(struct ipc_account_rows, cells) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");
static_assert(offsetof(struct ipc_locks_answer, lock_count) - offsetof(struct ipc_locks_answer, locks) ==
                  offsetof(struct ipc_array, count),
              "an array and its count stand side by side");

#endif
