/*
 * JSON bodies of requests to the console.
 */
#ifndef RB_SERVER_CONSOLE_BODY_H
#define RB_SERVER_CONSOLE_BODY_H

#include <jansson.h>

#include "server/http/http.h"

/* Reads the body; the caller owns *out. False: the request was answered (415, 400). */
bool rb_body_read(struct rb_request *req, json_t **out);

#endif
