/*
 * What a request to the console shows of itself: the cookie with its session's token, and whether it comes
 * from the console's own pages. Decides nothing about who may do what.
 */
#ifndef RB_SERVER_CONSOLE_GUARD_H
#define RB_SERVER_CONSOLE_GUARD_H

#include "server/console/token.h"
#include "server/http/http.h"

struct rb_guard;

#define RB_COOKIE_SIZE 160

/* public_url: the address that people use, behind whatever proxy. */
struct rb_guard *rb_guard_new(const char *public_url);
void rb_guard_free(struct rb_guard *guard);

/* The token of the request's cookie; false when there is none. */
bool rb_guard_token(const struct rb_guard *guard, const struct rb_request *req, char token[RB_TOKEN_SIZE]);
/* The value of Set-Cookie that gives the browser a token, or takes it away (NULL). */
void rb_guard_cookie(const struct rb_guard *guard, const struct rb_request *req, const char *token,
                     char cookie[RB_COOKIE_SIZE]);

/* Nothing says that another site's page sends this: no Origin but that of public_url or of the host asked,
 * no Sec-Fetch-Site that is another's. */
bool rb_guard_same_site(const struct rb_guard *guard, const struct rb_request *req);
/* The header X-CSRF-Token holds what belongs to the token. */
bool rb_guard_csrf(const struct rb_request *req, const char token[RB_TOKEN_SIZE]);

#endif
