/* SPDX-License-Identifier: Apache-2.0 */
/* replay: runs a fuzz target once on each file named, where libFuzzer is not linked. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    static uint8_t room[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size = fread(room, 1, sizeof room, file);
    fclose(file);
    LLVMFuzzerTestOneInput(room, size);
    return 0;
}

int main(int argc, char **argv)
{
    int failures = 0;
    for (int i = 1; i < argc; i++)
        failures += replay(argv[i]);
    return failures == 0 ? 0 : 1;
}
