/* Tests of the tool's import before the database: headers, cells, rows, and the list of faults. */
#include "tests/unit/unit.h"
#include "tools/ringback/import_rows.h"
#include "tools/ringback/import_value.h"

#include <stdio.h>

static const struct import_column *column_of(const char *kind, const char *name)
{
    const struct import_kind *found = import_kind_find(kind);
    assert_non_null(found);
    for (size_t i = 0; i < IMPORT_COLUMNS && found->columns[i].name; i++) {
        if (strcmp(found->columns[i].name, name) == 0)
            return &found->columns[i];
    }
    fail_msg("no column %s in %s", name, kind);
    return NULL;
}

struct cell {
    const char *kind, *column, *cell;
    const char *copy; /* what COPY gets; NULL: a fault */
    const char *why;  /* a part of the reason */
};

static const struct cell cells[] = {
    {"retailers", "name", "北街一号店", "北街一号店", NULL},
    {"retailers", "name", "", NULL, "is empty"},
    {"retailers", "name", "a\\b\tc\r\nd", "a\\\\b\\tc\\r\\nd", NULL},
    {"retailers", "name", "a\001b", NULL, "control"},
    {"retailers", "name", "a\xc2\x85!", NULL, "control"},
    {"retailers", "name", "a\u2028b", NULL, "control"},
    {"retailers", "code", "a\nb", NULL, "control"},
    {"retailers", "code", "N", "N", NULL},
    {"retailers", "code", "\\N", "\\\\N", NULL},
    {"retailers", "area", "", "\\N", NULL},
    {"retailers", "order_day", "7", "7", NULL},
    {"retailers", "order_day", "8", NULL, "from 1 to 7"},
    {"retailers", "order_day", "0", NULL, "\"0\""},
    {"retailers", "order_day", "", "\\N", NULL},
    {"retailers", "monthly_volume", "0012", "12", NULL},
    {"retailers", "monthly_volume", "-3", NULL, "-3"},
    {"retailers", "monthly_volume", "+3", NULL, "+3"},
    {"retailers", "monthly_volume", "1.5", NULL, "1.5"},
    {"retailers", "monthly_volume", "1000000001", NULL, "1000000000"},
    {"retailers", "monthly_volume", "99999999999999999999", NULL, "no whole number"},
    {"retailers", "class", "key", "key", NULL},
    {"retailers", "class", "ke", NULL, "key ordinary"},
    {"retailers", "class", "Key", NULL, "Key"},
    {"retailers", "class", "key ordinary", NULL, "not one of"},
    {"retailers", "phones", "", NULL, "is empty"},
    {"retailers", "phones", " ; ", NULL, "is empty"},
    {"retailers", "phones", "15400000001; 0416-5550001 ;", "{+8615400000001,+864165550001}", NULL},
    {"retailers", "phones", "15400000001;+86 154 0000 0001", "{+8615400000001}", NULL},
    {"retailers", "phones", "12313;1231;12313", "{12313,1231}", NULL},
    {"retailers", "phones", "15400000001;呼叫", NULL, "呼叫"},
    {"people", "phones", "", "\\N", NULL},
    {"people", "phones", ";", "{}", NULL},
    {"products", "scarce", "true", "t", NULL},
    {"products", "scarce", "", "f", NULL},
    {"products", "scarce", "TRUE", NULL, "neither true nor false"},
    {"products", "price_fen", "0", "0", NULL},
    {"products", "substitutes", "A1; B,2;C\"3;D\\4", "{\"A1\",\"B,2\",\"C\\\\\"3\",\"D\\\\\\\\4\"}", NULL},
};

static void test_cells(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cells); i++) {
        const struct cell *c = &cells[i];
        char why[IMPORT_WHY_SIZE] = "";
        struct rb_buf out;
        rb_buf_init(&out, 4096);
        enum rb_err err = import_value(column_of(c->kind, c->column), c->cell, "0416", &out, why);
        if ((err == RB_OK) != (c->copy != NULL))
            fail_msg("%s %s: %s", c->column, c->cell, err == RB_OK ? out.data : why);
        assert_string_equal(out.data, c->copy ? c->copy : "\\N");
        if (c->why && !strstr(why, c->why))
            fail_msg("%s %s: \"%s\" says nothing of \"%s\"", c->column, c->cell, why, c->why);
        rb_buf_deinit(&out);
    }
}

static void test_length_is_counted_in_characters(void **state)
{
    char cell[3 * 201 + 1] = "", why[IMPORT_WHY_SIZE];
    struct rb_buf out;
    (void)state;
    rb_buf_init(&out, 4096);
    for (int i = 0; i < 200; i++)
        strcat(cell, "店");
    assert_ok(import_value(column_of("people", "name"), cell, NULL, &out, why));
    strcat(cell, "店");
    assert_err(import_value(column_of("people", "name"), cell, NULL, &out, why), RB_ERR_INVALID);
    assert_non_null(strstr(why, "200"));
    rb_buf_deinit(&out);
}

static void test_local_number_needs_the_area_code(void **state)
{
    char why[IMPORT_WHY_SIZE];
    struct rb_buf out;
    (void)state;
    rb_buf_init(&out, 4096);
    assert_err(import_value(column_of("people", "phones"), "5550001", NULL, &out, why), RB_ERR_INVALID);
    assert_non_null(strstr(why, "--area-code"));
    rb_buf_reset(&out);
    assert_ok(import_value(column_of("people", "phones"), "5550001", "0416", &out, why));
    assert_string_equal(out.data, "{+864165550001}");
    rb_buf_deinit(&out);
}

static void test_trim(void **state)
{
    static const char *const texts[][2] = {
        {"a", "a"},         {" a b ", "a b"},      {"\u3000张三\u3000 ", "张三"},
        {"\u00a0x\t", "x"}, {" \u3000\u00a0", ""}, {"", ""}};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char text[64];
        snprintf(text, sizeof(text), "%s", texts[i][0]);
        assert_string_equal(import_trim(text), texts[i][1]);
    }
}

/* A whole file: what COPY gets, and the faults as "LINE column reason" lines. */
struct run {
    struct import_faults faults;
    char copied[4096];
    char told[4096];
    char columns[512];
};

static enum rb_err on_row(void *ctx, const char *data, size_t len)
{
    struct run *run = ctx;
    assert_true(strlen(run->copied) + len < sizeof(run->copied));
    strncat(run->copied, data, len);
    return RB_OK;
}

static enum rb_err read_file(struct run *run, const char *kind, const char *text)
{
    memset(run, 0, sizeof(*run));
    struct import_rows *rows = import_rows_new(import_kind_find(kind), "0416", &run->faults, on_row, run);
    assert_non_null(rows);
    enum rb_err err = import_rows_feed(rows, text, strlen(text));
    if (err == RB_OK)
        err = import_rows_feed(rows, NULL, 0);
    for (size_t i = 0; i < run->faults.listed; i++) {
        const struct import_fault *fault = &run->faults.list[i];
        size_t used = strlen(run->told);
        snprintf(run->told + used, sizeof(run->told) - used, "%zu %s %s\n", fault->line, fault->column,
                 fault->reason);
    }
    char *columns = import_rows_columns(rows);
    snprintf(run->columns, sizeof(run->columns), "%s", columns);
    free(columns);
    import_faults_deinit(&run->faults);
    import_rows_free(rows);
    return err;
}

static void test_rows_come_in_the_order_of_the_table(void **state)
{
    struct run run;
    (void)state;
    assert_ok(read_file(&run, "people",
                        "\xef\xbb\xbfrole, name ,code\r\noperator,\"王\n一\", P1 \r\nsupervisor,李,P2"));
    assert_string_equal(run.copied, "2\tP1\t王\\n一\toperator\t\\N\t\\N\t\\N\t\\N\n"
                                    "4\tP2\t李\tsupervisor\t\\N\t\\N\t\\N\t\\N\n");
    assert_string_equal(run.columns, "{code,name,role}");
    assert_string_equal(run.told, "");
}

static void test_header_faults_end_the_file(void **state)
{
    struct run run;
    (void)state;
    assert_err(read_file(&run, "products", "code,name,colour,name,\nP1,x,red,y,\n"), RB_ERR_INVALID);
    assert_string_equal(run.told, "1 colour unknown column\n1 name named twice\n1 - a column without a name\n"
                                  "1 price_fen required column is missing\n");
    assert_string_equal(run.copied, "");
}

static void test_no_header(void **state)
{
    static const char *const texts[] = {"", "\n\n", "\xef\xbb\xbf"};
    struct run run;
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_err(read_file(&run, "caps", texts[i]), RB_ERR_INVALID);
        assert_string_equal(run.told, "1 - the file has no header line\n");
    }
    assert_ok(read_file(&run, "caps", "product,cartons\n")); /* no caps at all is something to say */
}

/* Others may refer to a faulty row by its code, and are not at fault for it. */
static void test_faulty_rows_keep_their_code(void **state)
{
    struct run run;
    (void)state;
    assert_ok(read_file(&run, "people", "code,name,role\nP1,x,boss\nP2\n,x,operator\nP4,x,operator,more\n"));
    assert_string_equal(run.told,
                        "2 role \"boss\" is not one of: operator account_manager market_manager supervisor "
                        "deliverer inspector\n"
                        "3 - 1 fields, but the header has 3\n4 code is empty\n"
                        "5 - 4 fields, but the header has 3\n");
    assert_string_equal(run.copied, "2\tP1\tx\t\\N\t\\N\t\\N\t\\N\t\\N\n3\tP2\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n"
                                    "5\tP4\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n");
}

/* A cap that lost a condition would be another cap, and meet rules that it does not. */
static void test_faulty_caps_are_left_out(void **state)
{
    struct run run;
    (void)state;
    assert_ok(read_file(&run, "caps", "product,cartons,tier\nA,1,9\nA,1,\n"));
    assert_string_equal(run.copied, "3\tA\t1\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n");
}

static void test_form_is_told_by_its_line(void **state)
{
    struct run run;
    (void)state;
    assert_err(read_file(&run, "products", "code,name,price_fen\nP1,x,1\nP2,x\"y,1\nP3,x,1\n"),
               RB_ERR_INVALID);
    assert_int_equal(strncmp(run.told, "3 - ", 4), 0);
}

static void test_faults_are_counted_beyond_the_list(void **state)
{
    struct run run;
    struct rb_buf text;
    (void)state;
    rb_buf_init(&text, 65536);
    rb_buf_str(&text, "code,name,price_fen\n");
    for (int i = 0; i < 1000; i++)
        rb_buf_str(&text, ",x,1\n");
    assert_ok(read_file(&run, "products", text.data));
    assert_int_equal(run.faults.total, 1000);
    rb_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_length_is_counted_in_characters),
        cmocka_unit_test(test_local_number_needs_the_area_code),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_rows_come_in_the_order_of_the_table),
        cmocka_unit_test(test_header_faults_end_the_file),
        cmocka_unit_test(test_no_header),
        cmocka_unit_test(test_faulty_rows_keep_their_code),
        cmocka_unit_test(test_faulty_caps_are_left_out),
        cmocka_unit_test(test_form_is_told_by_its_line),
        cmocka_unit_test(test_faults_are_counted_beyond_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
