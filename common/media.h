/*
 * Content-Type: the type that it names, and whether its parameters can be read and mean UTF-8.
 */
#ifndef RB_COMMON_MEDIA_H
#define RB_COMMON_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

/* content_type: the header's value or NULL; type: in lower case. False as well when a parameter is malformed
 * or names a charset other than UTF-8. */
bool rb_media_is(const char *content_type, const char *type);

#endif
