/*
 * The running daemon, as the tool reaches it: over HTTP on the configuration's gateway listener. Only for
 * asking whether it is ready and for sending events; everything else goes through the database.
 */
#ifndef RB_TOOLS_RINGBACK_DAEMON_H
#define RB_TOOLS_RINGBACK_DAEMON_H

#include <curl/curl.h>

#include "common/buf.h"
#include "tools/ringback/command.h"

struct daemon {
    CURL *curl;
    char url[160];      /* "http://127.0.0.1:8081" */
    char why[512];      /* after a failure: in words */
    struct rb_buf body; /* of the last answer */
    long retry_after;   /* seconds, of the last answer; -1: none */
    bool replayed;      /* the last answer said Ringback-Replayed: true */
};

/* RB_ERR_INVALID: the configuration's listen_gateway or tls_certificate cannot be used; why tells. */
enum rb_err daemon_open(struct daemon *daemon, const struct rb_config *config) RB_MUST_CHECK;
/* Takes one that is all zero, too. */
void daemon_close(struct daemon *daemon);

/* Each gives the HTTP status, or 0 when there was no answer: then why tells and *refused says that nothing
 * listens there (so nothing was sent). */
long daemon_get(struct daemon *daemon, const char *path, bool *refused);
long daemon_post(struct daemon *daemon, const char *path, const char *key, const char *content_type,
                 const char *body, size_t len, bool *refused);

#endif
