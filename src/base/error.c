/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void strip_controls(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 32 || *text == 127)
            *text = '?';
}

bool error_set(struct error *error, int exit_code, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    strip_controls(error->text);
    error->exit_code = exit_code;
    error->number = 0;
    return false;
}

bool error_set_errno(struct error *error, int exit_code, const char *format, ...)
{
    int number = errno;
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, ": %s", strerror(number));
    strip_controls(error->text);
    error->exit_code = exit_code;
    error->number = number;
    return false;
}

bool error_prefix(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return false;
    char context[ERROR_TEXT_MAX], whole[2 * ERROR_TEXT_MAX + 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "%s: %s", context, error->text);
    whole[sizeof error->text - 1] = '\0';
    memcpy(error->text, whole, sizeof error->text);
    strip_controls(error->text);
    return false;
}
