/*
 * What every unit test program includes: cmocka with the headers that it needs before itself, and a few
 * checks of our own. Each program tests one noun and links the whole library.
 */
#ifndef RB_TESTS_UNIT_UNIT_H
#define RB_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"

/* Checks an enum rb_err, showing names instead of numbers. */
#define assert_err(expr, want) assert_string_equal(rb_err_name(expr), rb_err_name(want))
#define assert_ok(expr) assert_err(expr, RB_OK)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
