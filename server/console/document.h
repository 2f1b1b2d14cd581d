/*
 * The OpenAPI document, served to anybody on the console listener.
 */
#ifndef RB_SERVER_CONSOLE_DOCUMENT_H
#define RB_SERVER_CONSOLE_DOCUMENT_H

#include "server/http/http.h"

void rb_console_openapi(struct rb_request *req);

#endif
