/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text/near_word.h"

#include <limits.h>

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned near_word_slips(struct bytes a, struct bytes b)
{
    unsigned slips[NEAR_WORD_MAX + 1][NEAR_WORD_MAX + 1];
    if (a.length > NEAR_WORD_MAX || b.length > NEAR_WORD_MAX)
        return UINT_MAX;
    for (unsigned i = 0; i <= a.length; i++)
        slips[i][0] = i;
    for (unsigned k = 0; k <= b.length; k++)
        slips[0][k] = k;
    for (unsigned i = 1; i <= a.length; i++)
        for (unsigned k = 1; k <= b.length; k++) {
            unsigned other = a.at[i - 1] != b.at[k - 1];
            slips[i][k] = least(slips[i - 1][k - 1] + other, 1 + least(slips[i - 1][k], slips[i][k - 1]));
            bool swapped = i > 1 && k > 1 && a.at[i - 1] == b.at[k - 2] && a.at[i - 2] == b.at[k - 1];
            if (swapped)
                slips[i][k] = least(slips[i][k], slips[i - 2][k - 2] + 1);
        }
    return slips[a.length][b.length];
}

bool near_word_fits(struct bytes said, struct bytes word)
{
    enum { SHORT = 4, BEGIN_MIN = 2 };
    bool begins = said.length >= BEGIN_MIN && said.length < word.length &&
                  bytes_equal_nocase(said, bytes_first(word, said.length));
    return begins || near_word_slips(said, word) <= (said.length <= SHORT ? 1 : 2);
}
