/*
 * What other commands ask of the migrations.
 */
#ifndef RB_TOOLS_RINGBACK_MIGRATE_H
#define RB_TOOLS_RINGBACK_MIGRATE_H

#include "tools/ringback/session.h"

/* How many migrations ran, and how many scripts (functions included) ringback migrate would run. */
enum rb_err migrate_count(struct session *session, unsigned *applied, unsigned *pending) RB_MUST_CHECK;

#endif
