/*
 * The targets' signing secrets, opened once and remembered for a while: opening one costs more than signing
 * with it. A secret that was changed has other sealed bytes and is opened anew.
 */
#ifndef RB_SERVER_OUTBOX_SECRET_H
#define RB_SERVER_OUTBOX_SECRET_H

#include "common/seal.h"
#include "server/db/db.h"

struct rb_secrets;

struct rb_secrets *rb_secrets_new(const struct rb_seal *seal);
void rb_secrets_free(struct rb_secrets *secrets);

/* The secret of the target in a row whose column holds the sealed one ("" for none). NULL: sealed under
 * another key. Borrowed until the next call. */
const char *rb_secrets_find(struct rb_secrets *secrets, int64_t branch, int64_t target,
                            const struct rb_result *result, int row, int column);

#endif
