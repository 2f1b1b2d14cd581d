/*
 * Orders and complaints that people enter at the console: they go the way of all events, as from the gateway
 * that stands for the console of the branch, so that nothing is lost or done twice here either.
 */
#ifndef RB_SERVER_CONSOLE_ENTRY_H
#define RB_SERVER_CONSOLE_ENTRY_H

#include "server/http/http.h"
#include "server/intake/intake.h"

/*
 * The event of a body that the desk has allowed: its answer says who enters it, where, and as what type
 * (schema/functions/82-api-entry.sql). Answers the request when the event's outcome is there.
 */
void rb_entry_post(struct rb_request *req, struct rb_intake *intake, const char *allowed);

#endif
