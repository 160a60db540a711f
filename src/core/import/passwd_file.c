/* SPDX-License-Identifier: Apache-2.0 */
#include "core/import/passwd_file.h"

bool passwd_file_next(struct bytes *rest, size_t *number, struct passwd_file_user *user)
{
    while (rest->length > 0) {
        struct bytes line = bytes_split(rest, '\n');
        (*number)++;
        while (line.length > 0 && line.at[line.length - 1] == '\r')
            line.length--;
        line = bytes_trim(line);
        if (line.length == 0 || line.at[0] == '#')
            continue;
        char separator = bytes_search(line, BYTES("|{")) < bytes_find(line, ':') ? '|' : ':';
        *user = (struct passwd_file_user){.name = bytes_split(&line, separator)};
        /* {PLAIN}a:b cannot be written there: the colon ends the field */
        struct bytes field = bytes_split(&line, separator);
        user->has_password = field.length > 0 && field.at[0] != '*' && field.at[0] != '!';
        user->password = stored_password_read(field, true);
        return true;
    }
    return false;
}
