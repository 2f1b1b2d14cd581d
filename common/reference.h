/*
 * References of orders and complaints as they are read over the telephone: ten digits, the first not 0, the
 * last the check digit of H. M. Damm's totally anti-symmetric quasigroup of order 10 (Damm, 2004), which
 * finds every single wrong digit and every swap of neighbours. The database makes them (schema/functions);
 * this is for the tool and the tests.
 */
#ifndef RB_COMMON_REFERENCE_H
#define RB_COMMON_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#define RB_REFERENCE_SIZE 11

/* body: 100000000 to 999999999. Writes ten digits. */
void rb_reference_make(int64_t body, char out[RB_REFERENCE_SIZE]);
bool rb_reference_valid(const char *text);

#endif
