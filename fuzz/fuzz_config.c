/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a configuration: it is read whole or refused with one clean line;
 * what is read can be written, read again, and is written the same. */
#include "choices.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config, again;
    struct error error = {0};
    struct buffer text = {0}, twice = {0};
    if (!config_parse(&config, "fuzz.conf", bytes_of(data, size), &error)) {
        INSIST(error.text[0] != '\0' && error.exit_code != 0 &&
               !bytes_has_control(bytes_of_text(error.text)));
        return 0;
    }
    INSIST(config.hostname != NULL && config.listener_count > 0 && config.limits.message_size > 0);
    config_write(&config, &text);
    INSIST(config_parse(&again, "again.conf", buffer_bytes(&text), &error));
    config_write(&again, &twice);
    INSIST(bytes_equal(buffer_bytes(&text), buffer_bytes(&twice)));
    config_free(&again);
    config_free(&config);
    buffer_free(&text);
    buffer_free(&twice);
    return 0;
}
