/*
 * Normalises telephone numbers for tests in other languages: reads one spelling a line, prints the normalised
 * number, or an empty line for none. An argument is the branch's area code.
 */
#include <stdio.h>
#include <string.h>

#include "common/phone.h"

int main(int argc, char **argv)
{
    char line[1000], out[RB_PHONE_SIZE];
    while (fgets(line, sizeof(line), stdin))
        puts(rb_phone_normalize(line, strcspn(line, "\n"), argc > 1 ? argv[1] : NULL, out) ? out : "");
    return 0;
}
