/*
 * Chinese telephone numbers into one spelling (E.164: "+8615400001234"), as gateways and people write them:
 * "+86…", "0086…", "86…", trunk "0416…", mobiles, 400/800 numbers, short numbers (12313), with spaces,
 * dashes, dots, brackets, full-width digits, an extension ("转801", "-801" behind a full number, "x801" or
 * "ext. 801") that is cut off, and foreign numbers with "+" or "00".
 */
#ifndef RB_COMMON_PHONE_H
#define RB_COMMON_PHONE_H

#include <stdbool.h>
#include <stddef.h>

#define RB_PHONE_SIZE 24 /* bytes of a normalised number, NUL included */

/*
 * text: UTF-8, len bytes. area_code: the branch's own, digits with its trunk 0 ("0416") or NULL: a local
 * number of 7 or 8 digits is completed with it, refused without it. SIP and tel URIs ("sip:15400001234@host",
 * "tel:+86-…") are taken by their user part. Short numbers of 3 to 6 digits stay as they are, without "+".
 * Returns false when text names no number (empty, "anonymous", "unknown", "private", "restricted",
 * "unavailable", "withheld", any words).
 */
bool rb_phone_normalize(const char *text, size_t len, const char *area_code, char out[RB_PHONE_SIZE]);

#endif
