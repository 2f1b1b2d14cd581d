/*
 * The page behind acknowledge_url: /a/{token} on the console listener, for the recipient of a notification,
 * who needs no session. GET and HEAD show what is asked and change nothing, since mail scanners follow links;
 * an empty POST acknowledges.
 */
#ifndef RB_SERVER_CONSOLE_ACKNOWLEDGE_H
#define RB_SERVER_CONSOLE_ACKNOWLEDGE_H

#include "server/db/db.h"
#include "server/http/http.h"

void rb_acknowledge_show(struct rb_request *req, struct rb_db *db);
void rb_acknowledge_post(struct rb_request *req, struct rb_db *db);

#endif
