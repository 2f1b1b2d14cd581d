/*
 * Rows of import_rows.h. Knows what one row alone can tell; what needs other rows or the database is asked
 * there. Fed by import.c, and by tests without any database.
 */
#include "tools/ringback/import_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/csv.h"
#include "tools/ringback/import_value.h"

#define ROW_CAP (4 * RB_CSV_RECORD_BYTES) /* every byte escaped, and escaped again within an array */

struct import_rows {
    const struct import_kind *kind;
    const char *area_code;
    struct import_faults *faults;
    import_rows_sink_fn sink;
    void *ctx;
    struct rb_csv *csv;
    struct rb_buf row;
    struct import_header header;
    bool has_header;
    bool stopped; /* the header is at fault, or the sink ended it: not a fault of form */
    size_t line;
};

static void add_fault(struct import_rows *rows, const char *column, const char *reason)
{
    if (rows->faults->total < IMPORT_FAULTS_LISTED)
        import_faults_add(rows->faults, rows->line, column, reason);
    else
        import_faults_count(rows->faults, 1);
}

static void on_header_fault(void *ctx, const char *column, const char *reason)
{
    add_fault(ctx, column, reason);
}

static enum rb_err read_header(struct import_rows *rows, char **fields, size_t n)
{
    char *trimmed[RB_CSV_FIELDS];
    for (size_t i = 0; i < n; i++)
        trimmed[i] = import_trim(fields[i]);
    rows->has_header = true;
    if (import_header_read(rows->kind, trimmed, n, &rows->header, on_header_fault, rows))
        return RB_OK;
    rows->stopped = true;
    return RB_ERR_INVALID;
}

/* Appends one column's value; false when it is at fault, and then it is null. */
static bool add_cell(struct import_rows *rows, int column, char **fields, size_t n)
{
    const struct import_column *what = &rows->kind->columns[column];
    char why[IMPORT_WHY_SIZE];
    int place = rows->header.place[column];
    rb_buf_char(&rows->row, '\t');
    if (place < 0 || (size_t)place >= n) {
        rb_buf_str(&rows->row, "\\N");
        return true;
    }
    if (import_value(what, import_trim(fields[place]), rows->area_code, &rows->row, why) == RB_OK)
        return true;
    add_fault(rows, what->name, why);
    return false;
}

static enum rb_err read_row(struct import_rows *rows, char **fields, size_t n)
{
    bool fine = true, has_code = true;
    rb_buf_reset(&rows->row);
    rb_buf_int(&rows->row, (int64_t)rows->line);
    if (n != rows->header.n) {
        char why[128];
        snprintf(why, sizeof(why), "%zu fields, but the header has %zu", n, rows->header.n);
        add_fault(rows, "-", why);
        fine = false;
        n = rows->header.place[0] < (int)n ? (size_t)rows->header.place[0] + 1
                                           : 0; /* no more than its code */
    }
    for (int i = 0; i < IMPORT_COLUMNS && rows->kind->columns[i].name; i++) {
        bool cell = add_cell(rows, i, fields, n);
        has_code &= i > 0 || (cell && (size_t)rows->header.place[0] < n);
        fine &= cell;
    }
    rb_buf_char(&rows->row, '\n');
    if (!fine && (!rows->kind->take_faulty || !has_code))
        return RB_OK;
    if (rb_buf_err(&rows->row) != RB_OK)
        return rb_buf_err(&rows->row);
    return rows->sink(rows->ctx, rows->row.data, rows->row.len);
}

static enum rb_err on_record(void *ctx, size_t line, char **fields, size_t n)
{
    struct import_rows *rows = ctx;
    rows->line = line;
    if (!rows->has_header)
        return read_header(rows, fields, n);
    enum rb_err err = read_row(rows, fields, n);
    rows->stopped |= err != RB_OK;
    return err;
}

struct import_rows *import_rows_new(const struct import_kind *kind, const char *area_code,
                                    struct import_faults *faults, import_rows_sink_fn sink, void *ctx)
{
    struct import_rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return NULL;
    *rows = (struct import_rows){
        .kind = kind, .area_code = area_code, .faults = faults, .sink = sink, .ctx = ctx};
    rb_buf_init(&rows->row, ROW_CAP);
    rows->csv = rb_csv_new(on_record, rows);
    if (rows->csv)
        return rows;
    import_rows_free(rows);
    return NULL;
}

void import_rows_free(struct import_rows *rows)
{
    if (!rows)
        return;
    rb_csv_free(rows->csv);
    rb_buf_deinit(&rows->row);
    free(rows);
}

enum rb_err import_rows_feed(struct import_rows *rows, const char *data, size_t len)
{
    enum rb_err err = len > 0 ? rb_csv_feed(rows->csv, data, len) : rb_csv_end(rows->csv);
    if (err != RB_OK && rows->stopped)
        return err;
    if (err == RB_ERR_INVALID || err == RB_ERR_TOO_LARGE) {
        rows->line = rb_csv_line(rows->csv);
        add_fault(rows, "-", rb_csv_why(rows->csv));
        return RB_ERR_INVALID;
    }
    if (err == RB_OK && len == 0 && !rows->has_header) {
        rows->line = 1;
        add_fault(rows, "-", "the file has no header line");
        return RB_ERR_INVALID;
    }
    return err;
}

char *import_rows_columns(const struct import_rows *rows)
{
    struct rb_buf out;
    rb_buf_init(&out, IMPORT_COLUMNS * 64);
    for (int i = 0; i < IMPORT_COLUMNS && rows->kind->columns[i].name; i++) {
        if (rows->header.place[i] >= 0)
            rb_buf_printf(&out, "%c%s", out.len ? ',' : '{', rows->kind->columns[i].name);
    }
    rb_buf_char(&out, '}');
    return rb_buf_take(&out, NULL);
}
