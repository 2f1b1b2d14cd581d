/*
 * New signing secrets: made here, stored sealed, shown once. Used by gateway and target.
 */
#ifndef RB_TOOLS_RINGBACK_SECRET_H
#define RB_TOOLS_RINGBACK_SECRET_H

#include "common/err.h"
#include "common/sign.h"
#include "tools/ringback/command.h"

struct secret {
    char text[RB_SECRET_SIZE]; /* to be printed, "whsec_…" */
    char *sealed;              /* as PostgreSQL reads bytea: "\x…" */
};

/* Seals a text that came from elsewhere; *sealed as PostgreSQL reads bytea, the
 * caller frees it. What goes wrong is said. */
enum rb_err secret_seal(const struct call *call, const char *text, char **sealed) RB_MUST_CHECK;

/* Makes one under the configuration's secret_key_file. What goes wrong is said. */
enum rb_err secret_make(const struct call *call, struct secret *secret) RB_MUST_CHECK;
/* Wipes it. */
void secret_deinit(struct secret *secret);

#endif
