/*
 * Log-in with a name and a password. Takes the same time and gives the same answers whether the name exists
 * or not; tries are counted in the database, by account and by address, for all daemons together.
 */
#ifndef RB_SERVER_CONSOLE_LOGIN_H
#define RB_SERVER_CONSOLE_LOGIN_H

#include "server/console/guard.h"
#include "server/console/hasher.h"
#include "server/db/db.h"
#include "server/http/http.h"

struct rb_login;

/* All three outlive it. */
struct rb_login *rb_login_new(struct rb_db *db, struct rb_hasher *hasher, const struct rb_guard *guard);
void rb_login_free(struct rb_login *login);

void rb_login_handle(struct rb_login *login, struct rb_request *req);
size_t rb_login_body_limit(const struct rb_request *req);

#endif
