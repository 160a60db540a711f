/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust_record: what mail authentication found of one message, short enough to travel and to be stored with
 * it: what happened to it and why as numbers, and the reasoning as a few sentences for explain.
 *
 * The process trust makes one from a judgement, smtpd submits it, the queue stores it and gives local the
 * disposition. All zero: nothing was checked (a submission by a user, a report of this server, mode off).
 */
#ifndef MAILBOAT_CORE_TRUST_TRUST_RECORD_H
#define MAILBOAT_CORE_TRUST_TRUST_RECORD_H

#include "core/trust/arc.h"
#include "core/trust/verdict.h"

enum trust_record_limit {
    TRUST_AUTHOR_MAX = 253,    /* octets of the domain in From */
    TRUST_STORY_MAX = 2048,    /* octets of the story */
    TRUST_EVIDENCE_MAX = 1536, /* octets of the evidence */
};

/* The numbers of the enums are stored on disk: a new one comes last, and none is used again. */
struct trust_record {
    enum arc_result chain;        /* of its ARC sets; ARC_PENDING: not checked */
    enum disposition disposition; /* that was carried out */
    enum disposition proposed;    /* that of VERDICT_ENFORCE: differs with VERDICT_OBSERVE */
    enum verdict_finding finding;
    enum verdict_override override;
    struct bytes author; /* the domain in From, in lower case A-label form; empty: none, or several */
    struct bytes story;  /* sentences in UTF-8, without line ends: SPF, DKIM, DMARC, the policy and its record
                          */
    struct bytes evidence; /* for aggregate reports: a line of dmarc_evidence.h; empty: none. It is in the
                              judgements, not with the message */
};

/* The five numbers as one of 16 bits, and back; false for one that no record has. 0: nothing was checked. */
enum { TRUST_CODE_MAX = 0xffff };
unsigned trust_record_code(const struct trust_record *record);
bool trust_record_decode(unsigned code, struct trust_record *record);

/* True if its numbers and texts are within bounds. */
bool trust_record_is_sound(const struct trust_record *record);
/* Cuts a text that is too long, not within a character. */
struct bytes trust_record_story(struct bytes story);

#endif
