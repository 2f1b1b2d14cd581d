/*
 * Rows on stdout, of output.h. Called by the commands that list. Knows columns by their type only.
 */
#include "tools/ringback/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define JSON_CAP (64u << 20)

/* Types by the numbers that PostgreSQL gives them in pg_type, which never change. */
enum {
    TYPE_BOOL = 16,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_JSON = 114,
    TYPE_FLOAT8 = 701,
    TYPE_JSONB = 3802
};

/* Columns on a terminal that text takes: Chinese characters take two. */
static int width_of(const char *text)
{
    mbstate_t state = {0};
    int width = 0;
    while (*text) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, MB_CUR_MAX, &state);
        if (n == (size_t)-1 || n == (size_t)-2)
            return width + (int)strlen(text);
        int w = wcwidth(c);
        width += w > 0 ? w : 0;
        text += n;
    }
    return width;
}

static const char *shown(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? "-" : PQgetvalue(rows, row, column);
}

static void print_cell(const char *text, int width, bool last)
{
    printf("%s%*s", text, last ? 0 : width - width_of(text) + 2, "");
    if (last)
        putchar('\n');
}

static void print_columns(const PGresult *rows)
{
    int n = PQnfields(rows);
    int *width = calloc((size_t)n, sizeof(*width));
    RB_INVARIANT(width != NULL);
    for (int c = 0; c < n; c++) {
        width[c] = width_of(PQfname(rows, c));
        for (int r = 0; r < PQntuples(rows); r++) {
            int w = width_of(shown(rows, r, c));
            if (w > width[c])
                width[c] = w;
        }
    }
    for (int c = 0; c < n; c++)
        print_cell(PQfname(rows, c), width[c], c == n - 1);
    for (int r = 0; r < PQntuples(rows); r++) {
        for (int c = 0; c < n; c++)
            print_cell(shown(rows, r, c), width[c], c == n - 1);
    }
    free(width);
}

static void add_value(const PGresult *rows, int row, int column, struct rb_buf *out)
{
    const char *value = PQgetvalue(rows, row, column);
    if (PQgetisnull(rows, row, column)) {
        rb_buf_str(out, "null");
        return;
    }
    switch (PQftype(rows, column)) {
    case TYPE_BOOL:
        rb_buf_str(out, *value == 't' ? "true" : "false");
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_FLOAT8:
    case TYPE_JSON:
    case TYPE_JSONB:
        rb_buf_str(out, value);
        return;
    default:
        rb_buf_json(out, value);
    }
}

void output_json_row(const PGresult *rows, int row, struct rb_buf *out)
{
    rb_buf_char(out, '{');
    for (int c = 0; c < PQnfields(rows); c++) {
        rb_buf_str(out, c ? ", " : "");
        rb_buf_json(out, PQfname(rows, c));
        rb_buf_str(out, ": ");
        add_value(rows, row, c, out);
    }
    rb_buf_char(out, '}');
}

static void print_json(const PGresult *rows)
{
    struct rb_buf out;
    rb_buf_init(&out, JSON_CAP);
    rb_buf_char(&out, '[');
    for (int r = 0; r < PQntuples(rows); r++) {
        rb_buf_str(&out, r ? ",\n " : "");
        output_json_row(rows, r, &out);
    }
    rb_buf_str(&out, "]\n");
    RB_INVARIANT(rb_buf_err(&out) == RB_OK);
    fputs(out.data, stdout);
    rb_buf_deinit(&out);
}

void output_rows(const PGresult *rows, bool json)
{
    if (json)
        print_json(rows);
    else
        print_columns(rows);
}
