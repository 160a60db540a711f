/* SPDX-License-Identifier: Apache-2.0 */
#include "io/saslprep.h"

#include <stringprep.h>

struct bytes saslprep(struct bytes password, char buffer[SASLPREP_MAX + 1])
{
    if (bytes_is_ascii(password) || password.length > SASLPREP_MAX || bytes_find(password, '\0') != SIZE_MAX)
        return password; /* ASCII text is already in this form */
    memcpy(buffer, password.at, password.length);
    buffer[password.length] = '\0';
    bool done = stringprep(buffer, SASLPREP_MAX + 1, (Stringprep_profile_flags)0, stringprep_saslprep) ==
                    STRINGPREP_OK &&
                buffer[0] != '\0';
    return done ? bytes_of_text(buffer) : password;
}
