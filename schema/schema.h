/*
 * The SQL of the house as embedded at build: what `ringback migrate` runs, and the daemon's queries. A query
 * is declared in the header of the room that uses it as: extern const char rb_sql_NAME[]; (NAME is the
 * file's, "-" as "_").
 */
#ifndef RB_SCHEMA_SCHEMA_H
#define RB_SCHEMA_SCHEMA_H

struct rb_script {
    const char *name; /* "0001-branches" */
    const char *sql;
};

extern const struct rb_script rb_migrations[]; /* numbered, run once, forward only; ends with a NULL name */
extern const struct rb_script
    rb_functions[]; /* replaced whenever their text changed; ends with a NULL name */
extern const struct rb_script rb_documents[]; /* parts of the OpenAPI document; ends with a NULL name */

#endif
