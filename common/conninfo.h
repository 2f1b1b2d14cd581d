/*
 * libpq's connection strings, as far as they must be shown: with their passwords masked. libpq itself belongs
 * to the database room.
 */
#ifndef RB_COMMON_CONNINFO_H
#define RB_COMMON_CONNINFO_H

#include "common/buf.h"

/* Appends conninfo (URI or key=value form) with "***" for each password. What cannot be read is masked to its
 * end: rather too much than a password. */
void rb_conninfo_mask(struct rb_buf *out, const char *conninfo);

#endif
