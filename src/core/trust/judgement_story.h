/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judgement_story: a judgement in words: what each check found and why, and what follows. For `trust check`,
 * and for explain, which is told by the process that judged.
 */
#ifndef MAILBOAT_CORE_TRUST_JUDGEMENT_STORY_H
#define MAILBOAT_CORE_TRUST_JUDGEMENT_STORY_H

#include "core/trust/judgement.h"

enum story_form {
    STORY_LINES,     /* each check on a line, the check in a column */
    STORY_SENTENCES, /* all in one line */
};

/* Appends the story of a final judgement. What others wrote is in UTF-8 and without control characters. */
void judgement_story(const struct judgement *j, enum story_form form, struct buffer *out);

#endif
