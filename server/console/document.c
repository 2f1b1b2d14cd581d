/*
 * server/console/openapi.json as it was embedded at build.
 */
#include "server/console/document.h"

#include <string.h>

extern const char rb_text_openapi[];

void rb_console_openapi(struct rb_request *req)
{
    rb_reply(req, 200, "application/json", NULL, 0, rb_text_openapi, strlen(rb_text_openapi));
}
