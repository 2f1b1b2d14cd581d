/*
 * A new password by whoever is logged in: POST /api/v1/password {"old": …, "new": …}.
 */
#ifndef RB_SERVER_CONSOLE_PASSWORD_H
#define RB_SERVER_CONSOLE_PASSWORD_H

#include "server/console/guard.h"
#include "server/console/hasher.h"
#include "server/db/db.h"
#include "server/http/http.h"

struct rb_password;

/* All three outlive it. */
struct rb_password *rb_password_new(struct rb_db *db, struct rb_hasher *hasher, const struct rb_guard *guard);
void rb_password_free(struct rb_password *password);

void rb_password_handle(struct rb_password *password, struct rb_request *req);

#endif
