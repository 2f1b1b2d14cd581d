/*
 * Rows of a statement as the other rooms see them: text form, looked up by column number.
 */
#include <stdlib.h>
#include <string.h>

#include "server/db/internal.h"

int rb_result_rows(const struct rb_result *result)
{
    return PQntuples(result->res);
}

int rb_result_column(const struct rb_result *result, const char *name)
{
    int column = PQfnumber(result->res, name);
    RB_INVARIANT(column >= 0);
    return column;
}

bool rb_result_is_null(const struct rb_result *result, int row, int column)
{
    return PQgetisnull(result->res, row, column);
}

const char *rb_result_text(const struct rb_result *result, int row, int column)
{
    return PQgetisnull(result->res, row, column) ? NULL : PQgetvalue(result->res, row, column);
}

int64_t rb_result_int(const struct rb_result *result, int row, int column)
{
    return strtoll(PQgetvalue(result->res, row, column), NULL, 10);
}

double rb_result_double(const struct rb_result *result, int row, int column)
{
    return strtod(PQgetvalue(result->res, row, column), NULL);
}

bool rb_result_bool(const struct rb_result *result, int row, int column)
{
    return *PQgetvalue(result->res, row, column) == 't';
}

uint8_t *rb_result_bytes(const struct rb_result *result, int row, int column, size_t *len)
{
    const char *text = rb_result_text(result, row, column);
    if (!text)
        return NULL;
    unsigned char *raw = PQunescapeBytea((const unsigned char *)text, len);
    RB_INVARIANT(raw != NULL);
    uint8_t *bytes = malloc(*len + 1);
    RB_INVARIANT(bytes != NULL);
    memcpy(bytes, raw, *len);
    PQfreemem(raw);
    return bytes;
}
