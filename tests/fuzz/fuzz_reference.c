/* Fuzzes common/reference: what is valid is what would be made of its first nine digits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char made[RB_REFERENCE_SIZE];
    char *text = malloc(size + 1);
    RB_INVARIANT(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (rb_reference_valid(text)) {
        rb_reference_make(strtoll(text, NULL, 10) / 10, made);
        RB_INVARIANT(strcmp(made, text) == 0);
    }
    free(text);
    return 0;
}
