/* SPDX-License-Identifier: Apache-2.0 */
/* finding_group: how the findings are made, a group a file; for finding*.c alone. */
#ifndef MAILBOAT_CORE_DIAGNOSIS_FINDING_GROUP_H
#define MAILBOAT_CORE_DIAGNOSIS_FINDING_GROUP_H

#include "core/diagnosis/finding.h"
#include "core/diagnosis/port_seen.h"

struct finding_group {
    struct findings *findings;
    const struct diagnosis_facts *facts;
    struct ports_seen seen;
};
typedef bool finding_test(const struct diagnosis_facts *facts, const struct fact_attempt *attempt);

void finding_set(struct finding_group *group, enum finding finding, bool yes);
void finding_set_known(struct finding_group *group, enum finding finding, enum known known);
/* Does any attempt of the family pass the test? On how many ports does the most telling one? */
bool finding_any(const struct finding_group *group, finding_test *test);
size_t finding_count_ports(const struct finding_group *group, finding_test *test);
/* The same, and on which ports. The finding is set by the test over all attempts, or over the ports. */
void finding_set_any(struct finding_group *group, enum finding finding, finding_test *test);
void finding_set_ports(struct finding_group *group, enum finding finding, finding_test *test);
/* Its ports are those that count and are in one of these states (a set of 1 << enum port_state). */
void finding_set_states(struct finding_group *group, enum finding finding, bool yes, unsigned states);
/* Does one of the words begin a word of the text, whatever its case? `words` are parted by '|'. */
bool finding_has_word(const char *text, const char *words);

void finding_reach(struct finding_group *group);           /* ports, controls, the web */
void finding_names(struct finding_group *group);           /* DNS */
void finding_machine(struct finding_group *group);         /* this machine, and before */
void finding_identity(struct finding_group *group);        /* the answering server */
void finding_tls(struct finding_group *group);             /* STARTTLS, TLS, certificates */
void finding_words_of_server(struct finding_group *group); /* replies, silence, ends */
void finding_reply(struct finding_group *group);           /* to the user's own message */
void finding_sum_of_reach(struct finding_group *group);    /* NO_MAIL_LEAVES and the like */
void finding_doubt(struct finding_group *group);           /* IDENTITY_IN_DOUBT, of all the others */

#endif
