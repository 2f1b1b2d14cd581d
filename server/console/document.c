/*
 * The OpenAPI document of document.h. Called by app.c at start and by the desk. What it reads was embedded at
 * build: a fault in it is a fault of the build, which the unit test finds first. Knows nothing of requests.
 */
#include "server/console/document.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_MOST = 50 };
/* Other paths are the gateway's. */
static const char *const prefixes[] = {"/api/v1/", "/a/", NULL};

struct rb_document {
    char *text;
    size_t len;
    struct rb_operation *operations;
    size_t n;
    char *why;
    size_t why_size;
};

static const char *const all_roles[] = {"operator",  "account_manager", "market_manager", "supervisor",
                                        "deliverer", "inspector",       "administrator",  NULL};
static const char *const methods[] = {"get", "post", "put", "patch", "delete", NULL};

RB_PRINTF(2, 3) static bool fault(struct rb_document *document, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(document->why, document->why_size, fmt, args);
    va_end(args);
    return false;
}

static char *copy(const char *text)
{
    char *made = strdup(text);
    RB_INVARIANT(made != NULL);
    return made;
}

/* Adds name to a list that ends with NULL and has n items. */
static char **extend(char **list, size_t n, const char *name)
{
    list = realloc(list, (n + 2) * sizeof(*list));
    RB_INVARIANT(list != NULL);
    list[n] = name ? copy(name) : NULL;
    list[n + 1] = NULL;
    return list;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static bool listed(const char *const *list, const char *word)
{
    while (*list && strcmp(*list, word) != 0)
        list++;
    return *list != NULL;
}

/* --- putting the parts together --- */

/* depth: how many levels of objects below are united too, as those of "components" are. */
static bool unite(struct rb_document *document, const char *part, json_t *whole, json_t *more, int depth)
{
    const char *key;
    json_t *value;
    json_object_foreach(more, key, value)
    {
        json_t *there = json_object_get(whole, key);
        if (!there)
            RB_INVARIANT(json_object_set(whole, key, value) == 0);
        else if (json_is_array(there) && json_is_array(value) && strcmp(key, "tags") == 0)
            RB_INVARIANT(json_array_extend(there, value) == 0);
        else if (depth > 0 && json_is_object(there) && json_is_object(value)) {
            if (!unite(document, part, there, value, strcmp(key, "components") == 0 ? 1 : depth - 1))
                return false;
        } else
            return fault(document, "%s: \"%s\" is in another part already", part, key);
    }
    return true;
}

static json_t *unite_all(struct rb_document *document, const struct rb_script *parts)
{
    json_t *whole = json_object();
    RB_INVARIANT(whole != NULL);
    for (bool ok = true; ok && parts->name; parts++) {
        json_error_t error;
        json_t *part = json_loads(parts->sql, JSON_REJECT_DUPLICATES, &error);
        ok = json_is_object(part) ? unite(document, parts->name, whole, part, 1)
                                  : fault(document, "%s: line %d: %s", parts->name, error.line, error.text);
        json_decref(part);
        if (!ok) {
            json_decref(whole);
            whole = NULL;
        }
    }
    return whole;
}

/* --- reading the operations --- */

static bool id_valid(const char *id)
{
    size_t len = id ? strlen(id) : 0;
    return len > 0 && len <= ID_MOST && islower((unsigned char)*id) &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool read_roles(struct rb_document *document, struct rb_operation *operation, json_t *roles)
{
    size_t i;
    json_t *role;
    if (!roles)
        return true;
    if (json_array_size(roles) == 0)
        return fault(document, "%s: x-roles lists nobody", operation->id);
    json_array_foreach(roles, i, role)
    {
        const char *name = json_string_value(role);
        if (!name || !listed(all_roles, name))
            return fault(document, "%s: x-roles: there is no role \"%s\"", operation->id, name ? name : "?");
        operation->roles = extend(operation->roles, i, name);
    }
    return true;
}

/* A parameter, or the one that its $ref leads to. */
static json_t *parameter_of(json_t *whole, json_t *parameter)
{
    static const char prefix[] = "#/components/parameters/";
    const char *ref = json_string_value(json_object_get(parameter, "$ref"));
    if (!ref)
        return parameter;
    if (strncmp(ref, prefix, sizeof(prefix) - 1) != 0)
        return NULL;
    json_t *parameters = json_object_get(json_object_get(whole, "components"), "parameters");
    return json_object_get(parameters, ref + sizeof(prefix) - 1);
}

static bool read_parameters(struct rb_document *document, struct rb_operation *operation, json_t *whole,
                            json_t *parameters)
{
    size_t n = 0;
    size_t i;
    json_t *item;
    while (operation->queries && operation->queries[n])
        n++;
    json_array_foreach(parameters, i, item)
    {
        json_t *parameter = parameter_of(whole, item);
        const char *name = json_string_value(json_object_get(parameter, "name"));
        const char *in = json_string_value(json_object_get(parameter, "in"));
        if (!name || !in)
            return fault(document, "%s: parameter %zu is none, or its $ref leads nowhere", operation->id, i);
        if (strcmp(in, "query") == 0)
            operation->queries = extend(operation->queries, n++, name);
    }
    return true;
}

static bool read_operation(struct rb_document *document, json_t *whole, const char *path, json_t *item,
                           const char *method, json_t *value)
{
    const char *id = json_string_value(json_object_get(value, "operationId"));
    json_t *body = json_object_get(value, "requestBody");
    if (!id_valid(id))
        return fault(document, "%s %s: operationId is missing or not like get_order", method, path);
    for (size_t i = 0; i < document->n; i++)
        if (strcmp(document->operations[i].id, id) == 0)
            return fault(document, "%s: operationId is that of two operations", id);
    document->operations = realloc(document->operations, (document->n + 1) * sizeof(struct rb_operation));
    RB_INVARIANT(document->operations != NULL);
    struct rb_operation *operation = &document->operations[document->n++];
    *operation = (struct rb_operation){.id = copy(id),
                                       .method = copy(method),
                                       .path = copy(path),
                                       .queries = extend(NULL, 0, NULL),
                                       .takes_body = body != NULL,
                                       .needs_body = json_is_true(json_object_get(body, "required"))};
    for (char *c = operation->method; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return read_roles(document, operation, json_object_get(value, "x-roles")) &&
           read_parameters(document, operation, whole, json_object_get(item, "parameters")) &&
           read_parameters(document, operation, whole, json_object_get(value, "parameters"));
}

static bool is_console(const char *path)
{
    size_t i = 0;
    while (prefixes[i] && strncmp(path, prefixes[i], strlen(prefixes[i])) != 0)
        i++;
    return prefixes[i] != NULL;
}

static bool read_operations(struct rb_document *document, json_t *whole)
{
    const char *path;
    const char *key;
    json_t *item;
    json_t *value;
    json_object_foreach(json_object_get(whole, "paths"), path, item)
    {
        if (!is_console(path))
            continue;
        json_object_foreach(item, key, value)
        {
            if (listed(methods, key) && !read_operation(document, whole, path, item, key, value))
                return false;
        }
    }
    return true;
}

/* '{' stands behind every character that a literal segment begins with. */
static int by_path(const void *a, const void *b)
{
    const struct rb_operation *left = a;
    const struct rb_operation *right = b;
    int order = strcmp(left->path, right->path);
    return order ? order : strcmp(left->method, right->method);
}

enum rb_err rb_document_new(const struct rb_script *parts, struct rb_document **out, char *why, size_t size)
{
    struct rb_document *document = calloc(1, sizeof(*document));
    RB_INVARIANT(document != NULL);
    document->why = why;
    document->why_size = size;
    json_t *whole = unite_all(document, parts);
    if (!whole || !read_operations(document, whole)) {
        json_decref(whole);
        rb_document_free(document);
        return RB_ERR_INVALID;
    }
    if (document->n)
        qsort(document->operations, document->n, sizeof(struct rb_operation), by_path);
    document->text = json_dumps(whole, JSON_COMPACT);
    RB_INVARIANT(document->text != NULL);
    document->len = strlen(document->text);
    json_decref(whole);
    *out = document;
    return RB_OK;
}

void rb_document_free(struct rb_document *document)
{
    if (!document)
        return;
    for (size_t i = 0; i < document->n; i++) {
        struct rb_operation *operation = &document->operations[i];
        free(operation->id);
        free(operation->method);
        free(operation->path);
        free_list(operation->roles);
        free_list(operation->queries);
    }
    free(document->operations);
    free(document->text);
    free(document);
}

const char *rb_document_text(const struct rb_document *document, size_t *len)
{
    *len = document->len;
    return document->text;
}

const struct rb_operation *rb_document_operations(const struct rb_document *document, size_t *n)
{
    *n = document->n;
    return document->operations;
}
