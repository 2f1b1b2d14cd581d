/*
 * The configuration of both programs: one table of rows, from which the file is read, the environment is read
 * (RINGBACK_<KEY>, which wins), --print-config is printed and docs/configuration.md is made.
 */
#ifndef RB_COMMON_CONFIG_H
#define RB_COMMON_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"

struct rb_config {
    char *database;
    char *listen_console; /* host:port, [v6]:port; port 0 takes a free one */
    char *listen_gateway;
    bool reuse_port;
    char *public_url;
    char *timezone;
    char *log_level;
    char *allow_targets;
    char *secret_key_file;
    char *state_dir;
    char *trusted_proxies;
    char *tls_certificate; /* PEM file with chain; empty: plain HTTP on both listeners */
    char *tls_key;
    int write_connections;    /* to PostgreSQL, for intake */
    int max_connections;      /* HTTP, in all */
    int max_per_address;      /* HTTP, of one address; 0: half of max_connections */
    int intake_queue;         /* events that may wait for a batch */
    int batch_events;         /* most events in one transaction */
    int delivery_connections; /* outgoing, in all */
    char *smtp_relay;         /* smtp:// or smtps://; empty: no e-mail */
    char *smtp_from;
    char *smtp_user;
    char *smtp_password_file;
    char *smtp_tls; /* try, require or none */
    int smtp_per_minute;
};

/*
 * path: the file named on the command line, or NULL: then RINGBACK_CONFIG, then /etc/ringback/ringback.conf
 * (which may be absent; a file that was named may not). Faults (unknown key, value out of bounds, unreadable
 * file) go to why as "FILE:LINE: key: reason" lines. Empty secret_key_file becomes <state_dir>/secret.key.
 */
enum rb_err rb_config_load(const char *path, struct rb_config *config, char *why, size_t size) RB_MUST_CHECK;
void rb_config_deinit(struct rb_config *config);
/* Prints every key with its value and, as comments, its help, bounds, default and whether SIGHUP takes it
 * over. The password in database is masked. */
void rb_config_print(const struct rb_config *config, FILE *out);
/* Prints the table as Markdown for docs/configuration.md. */
void rb_config_print_markdown(FILE *out);

#endif
