/*
 * References of common/reference.h. The table is the quasigroup: the check digit of a number is where its
 * digits lead from 0, and a whole reference leads back to 0.
 */
#include "common/reference.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

#define BODY_MIN INT64_C(100000000)
#define BODY_MAX INT64_C(999999999)

static const unsigned char quasigroup[10][10] = {
    {0, 3, 1, 7, 5, 9, 8, 6, 4, 2}, {7, 0, 9, 2, 1, 5, 4, 8, 6, 3}, {4, 2, 0, 6, 8, 7, 1, 3, 5, 9},
    {1, 7, 5, 0, 9, 8, 3, 4, 2, 6}, {6, 1, 2, 3, 0, 4, 5, 9, 7, 8}, {3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
    {5, 8, 6, 9, 7, 2, 0, 1, 3, 4}, {8, 9, 4, 5, 3, 6, 2, 0, 1, 7}, {9, 4, 3, 8, 6, 1, 7, 2, 0, 5},
    {2, 5, 8, 1, 4, 3, 6, 7, 9, 0},
};

static unsigned lead(const char *digits)
{
    unsigned interim = 0;
    for (; *digits; digits++)
        interim = quasigroup[interim][*digits - '0'];
    return interim;
}

void rb_reference_make(int64_t body, char out[RB_REFERENCE_SIZE])
{
    RB_INVARIANT(body >= BODY_MIN && body <= BODY_MAX);
    snprintf(out, RB_REFERENCE_SIZE, "%09u", (unsigned)body % 1000000000U);
    out[9] = (char)('0' + lead(out));
    out[10] = '\0';
}

bool rb_reference_valid(const char *text)
{
    return strlen(text) == 10 && strspn(text, "0123456789") == 10 && text[0] != '0' && lead(text) == 0;
}
