/*
 * Prints the OpenAPI document that the daemon serves, a line for each member, for the linter.
 */
#include <jansson.h>
#include <stdio.h>

#include "server/console/document.h"

int main(void)
{
    struct rb_document *document;
    char why[512];
    size_t len;
    if (rb_document_new(rb_documents, &document, why, sizeof(why)) != RB_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    json_t *json = json_loads(rb_document_text(document, &len), 0, NULL);
    int failed = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;
    json_decref(json);
    rb_document_free(document);
    return failed != 0;
}
