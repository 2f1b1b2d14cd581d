/*
 * CloudEvents attributes as they travel: in ce- headers of binary mode, or as members of a structured event.
 */
#ifndef RB_SERVER_GATEWAY_ATTRIBUTES_H
#define RB_SERVER_GATEWAY_ATTRIBUTES_H

#include <jansson.h>

#include "server/http/http.h"
#include "server/intake/event.h"

/*
 * Decodes a header's value (CloudEvents HTTP binding 1.0.2, section 3.1.3.2): a quoted string is unquoted,
 * then percent-decoded. out: room for strlen(value) + 1 bytes. RB_ERR_INVALID: a bad percent-encoding, NUL or
 * no UTF-8.
 */
enum rb_err rb_header_decode(const char *value, char *out) RB_MUST_CHECK;

/* Attributes of binary mode; texts lie in *block, which the caller frees. RB_ERR_INVALID fills why. */
enum rb_err rb_attributes_from_headers(const struct rb_request *req, struct rb_attributes *out, char **block,
                                       struct rb_refusal *why) RB_MUST_CHECK;

/* Attributes of a structured event, borrowed from it; a member that is no string counts as absent, but for
 * time. */
void rb_attributes_from_json(const json_t *event, struct rb_attributes *out);

#endif
