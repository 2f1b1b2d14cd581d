/* Fuzzes common/phone: a result is an E.164 or a short number, and normalises to itself. The first byte
 * chooses the area code. */
#include <stdint.h>
#include <string.h>

#include "common/err.h"
#include "common/phone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const areas[] = {NULL, "0416", "010", "", "x"};
    char out[RB_PHONE_SIZE], again[RB_PHONE_SIZE];
    if (!size)
        return 0;
    const char *area = areas[data[0] % (sizeof(areas) / sizeof(areas[0]))];
    if (!rb_phone_normalize((const char *)data + 1, size - 1, area, out))
        return 0;
    size_t len = strlen(out), plus = out[0] == '+';
    RB_INVARIANT(strspn(out + plus, "0123456789") == len - plus);
    RB_INVARIANT(plus ? len >= 8 && len <= 16 : len >= 3 && len <= 6);
    RB_INVARIANT(rb_phone_normalize(out, len, area, again));
    RB_INVARIANT(strcmp(out, again) == 0);
    return 0;
}
