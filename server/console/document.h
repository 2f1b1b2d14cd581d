/*
 * The OpenAPI document, put together at start from the parts in server/console/openapi, and what it says of
 * the console's operations. The routing table is made from these, so that nothing is served undescribed.
 */
#ifndef RB_SERVER_CONSOLE_DOCUMENT_H
#define RB_SERVER_CONSOLE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "schema/schema.h"

struct rb_document;

/* An operation of the console, under /api/v1/ or /a/. Lists of texts end with NULL. */
struct rb_operation {
    char *id;
    char *method; /* upper case */
    char *path;
    char **roles;   /* who may; NULL when the document does not say (x-roles) */
    char **queries; /* names of its query parameters */
    bool takes_body;
    bool needs_body;
};

/*
 * parts: end with a NULL name; "paths", "tags" and the groups of "components" are united, other members are
 * taken from whichever part has them. RB_ERR_INVALID: something is there twice, or an operation has no
 * operationId of lower-case letters, digits and underscores, an unknown role or a parameter that leads
 * nowhere; why (size bytes) says where.
 */
enum rb_err rb_document_new(const struct rb_script *parts, struct rb_document **out, char *why,
                            size_t size) RB_MUST_CHECK;
void rb_document_free(struct rb_document *document);

const char *rb_document_text(const struct rb_document *document, size_t *len);
/* Concrete paths stand before those with parameters that they also match. */
const struct rb_operation *rb_document_operations(const struct rb_document *document, size_t *n);

#endif
