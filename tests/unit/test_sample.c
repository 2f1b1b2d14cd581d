/*
 * Tests of ringback-sample, through the program and the files it writes: the same bytes for the same seed,
 * how many of each, no code twice, no reference into the void, caps that never contradict, numbers of nobody.
 * The files are read by the readers the import uses.
 */
#include "common/csv.h"
#include "common/phone.h"
#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define AREA_CODE "0416"

struct table {
    size_t columns;
    size_t rows; /* without the header */
    char **header;
    char ***row;
};

static char program[4096], folder[] = "/tmp/sample-test.XXXXXX";
static struct table people, retailers, products, caps;

/* --- running the program, reading its files --- */

/* Runs it quietly with up to four arguments and gives its exit code. */
static int run(const char *a, const char *b, const char *c, const char *d)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)) {
            _exit(126);
        }
        execl(program, program, a, b, c, d, NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void path_of(char path[4096], const char *branch, const char *name)
{
    snprintf(path, 4096, "%s/%s/%s", folder, branch, name);
}

static char *read_file(const char *branch, const char *name, size_t *len)
{
    char path[4096], *text;
    FILE *file;
    long size;

    path_of(path, branch, name);
    file = fopen(path, "r");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    text = malloc((size_t)size + 1);
    assert_non_null(text);
    *len = fread(text, 1, (size_t)size, file);
    assert_int_equal(*len, size);
    fclose(file);
    return text;
}

static enum rb_err on_record(void *ctx, size_t line, char **fields, size_t n)
{
    struct table *table = ctx;
    char **copy = calloc(n, sizeof(*copy));
    size_t i;

    (void)line;
    assert_non_null(copy);
    for (i = 0; i < n; i++) {
        copy[i] = strdup(fields[i]);
    }
    if (!table->header) {
        table->columns = n;
        table->header = copy;
        return RB_OK;
    }
    assert_int_equal(n, table->columns);
    table->row = realloc(table->row, (table->rows + 1) * sizeof(*table->row));
    table->row[table->rows++] = copy;
    return RB_OK;
}

static void read_table(const char *branch, const char *name, struct table *table)
{
    size_t len;
    char *text = read_file(branch, name, &len);
    struct rb_csv *csv = rb_csv_new(on_record, table);

    assert_ok(rb_csv_feed(csv, text, len));
    assert_ok(rb_csv_end(csv));
    rb_csv_free(csv);
    free(text);
}

static void free_fields(char **fields, size_t n)
{
    while (n > 0) {
        free(fields[--n]);
    }
    free(fields);
}

static void free_table(struct table *table)
{
    while (table->rows > 0) {
        free_fields(table->row[--table->rows], table->columns);
    }
    free_fields(table->header, table->columns);
    free(table->row);
}

/* --- looking things up in a table --- */

static const char *cell(const struct table *table, size_t row, const char *column)
{
    size_t i;

    for (i = 0; i < table->columns; i++) {
        if (strcmp(table->header[i], column) == 0) {
            return table->row[row][i];
        }
    }
    fail_msg("no column %s", column);
    return NULL;
}

/* The row of a code; codes are in the first column. */
static size_t row_of(const struct table *table, const char *code)
{
    size_t i;

    for (i = 0; i < table->rows; i++) {
        if (strcmp(table->row[i][0], code) == 0) {
            return i;
        }
    }
    fail_msg("no row %s", code);
    return 0;
}

static size_t count(const struct table *table, const char *column, const char *value)
{
    size_t n = 0, i;

    for (i = 0; i < table->rows; i++) {
        n += strcmp(cell(table, i, column), value) == 0;
    }
    return n;
}

static bool same(const struct table *table, size_t a, size_t b, const char *column)
{
    return strcmp(cell(table, a, column), cell(table, b, column)) == 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_all_different(const struct table *table)
{
    char **codes = calloc(table->rows, sizeof(*codes));
    size_t i;

    assert_non_null(codes);
    for (i = 0; i < table->rows; i++) {
        codes[i] = table->row[i][0];
    }
    qsort(codes, table->rows, sizeof(*codes), by_text);
    for (i = 1; i < table->rows; i++) {
        assert_string_not_equal(codes[i - 1], codes[i]);
    }
    free(codes);
}

/* --- the tests --- */

static void test_same_seed_same_bytes(void **state)
{
    static const char *const names[] = {"people.csv", "retailers.csv", "products.csv", "caps.csv"};
    char again[4096], other[4096];
    size_t i;

    (void)state;
    path_of(again, "again", "");
    path_of(other, "other", "");
    assert_int_equal(run(again, NULL, NULL, NULL), 0);
    assert_int_equal(run("--seed", "2", other, NULL), 0);
    for (i = 0; i < COUNT(names); i++) {
        size_t len, len_again, len_other;
        char *text = read_file("first", names[i], &len);
        char *text_again = read_file("again", names[i], &len_again);
        char *text_other = read_file("other", names[i], &len_other);

        assert_true(len == len_again && memcmp(text, text_again, len) == 0);
        assert_false(len == len_other && memcmp(text, text_other, len) == 0);
        free(text);
        free(text_again);
        free(text_other);
    }
}

static void test_how_many(void **state)
{
    size_t i;

    (void)state;
    assert_int_equal(count(&people, "role", "account_manager"), 16);
    assert_int_equal(count(&people, "role", "market_manager"), 4);
    assert_int_equal(count(&people, "role", "supervisor"), 2);
    assert_int_equal(count(&people, "role", "operator"), 12);
    assert_int_equal(count(&people, "role", "deliverer"), 8);
    assert_int_equal(count(&people, "role", "inspector"), 4);
    assert_int_equal(retailers.rows, 3040);
    assert_int_equal(products.rows, 300);
    assert_int_equal(count(&products, "scarce", "true"), 30);
    assert_in_range(count(&products, "controlled", "true"), 3, 10);
    for (i = 0; i < people.rows; i++) {
        if (strcmp(cell(&people, i, "role"), "account_manager") == 0) {
            assert_in_range(count(&retailers, "manager", cell(&people, i, "code")), 150, 230);
        }
    }
}

static void test_no_code_twice(void **state)
{
    (void)state;
    assert_all_different(&people);
    assert_all_different(&retailers);
    assert_all_different(&products);
}

static void test_line_of_command(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < people.rows; i++) {
        const char *role = cell(&people, i, "role"), *deputy = cell(&people, i, "deputy");

        if (strcmp(role, "supervisor") == 0) {
            assert_string_equal(cell(&people, i, "reports_to"), "");
        } else if (strcmp(role, "account_manager") == 0) {
            size_t above = row_of(&people, cell(&people, i, "reports_to"));

            assert_string_equal(cell(&people, above, "role"), "market_manager");
            assert_true(same(&people, i, above, "area"));
            assert_true(same(&people, i, row_of(&people, deputy), "area"));
            assert_true(same(&people, i, row_of(&people, deputy), "role"));
            assert_string_not_equal(deputy, cell(&people, i, "code"));
        } else {
            assert_string_equal(cell(&people, row_of(&people, cell(&people, i, "reports_to")), "role"),
                                "supervisor");
        }
    }
}

static void test_retailers_belong_somewhere(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < retailers.rows; i++) {
        size_t manager = row_of(&people, cell(&retailers, i, "manager"));

        assert_string_equal(cell(&people, manager, "role"), "account_manager");
        assert_string_equal(cell(&people, manager, "area"), cell(&retailers, i, "area"));
        assert_true(*cell(&retailers, i, "route") != 0);
        assert_true(*cell(&retailers, i, "phones") != 0);
    }
}

static void test_substitutes_can_be_had(void **state)
{
    size_t i, found = 0;

    (void)state;
    for (i = 0; i < products.rows; i++) {
        char *list = strdup(cell(&products, i, "substitutes")), *rest = list, *code;

        for (code = strtok_r(list, ";", &rest); code; code = strtok_r(NULL, ";", &rest)) {
            size_t other = row_of(&products, code);

            assert_int_not_equal(other, i);
            assert_true(same(&products, i, other, "price_class"));
            assert_string_equal(cell(&products, other, "scarce"), "false");
            found++;
        }
        free(list);
    }
    assert_true(found > 100);
}

/* Two rules can meet when no condition sets them apart. */
static bool can_meet(size_t a, size_t b, const char *const *conditions, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        const char *one = cell(&caps, a, conditions[i]), *two = cell(&caps, b, conditions[i]);

        if (*one && *two && strcmp(one, two) != 0) {
            return false;
        }
    }
    return same(&caps, a, b, "product");
}

static void test_caps_never_contradict(void **state)
{
    static const char *const conditions[] = {"tier", "market_type", "trade_type",
                                             "area", "class",       "retailer"};
    size_t a, b, i;

    (void)state;
    for (a = 0; a < caps.rows; a++) {
        row_of(&products, cell(&caps, a, "product"));
        if (*cell(&caps, a, "retailer")) {
            row_of(&retailers, cell(&caps, a, "retailer"));
        }
        for (b = 0; b < a; b++) {
            size_t specific_a = 0, specific_b = 0;

            for (i = 0; i < COUNT(conditions); i++) {
                size_t weight = strcmp(conditions[i], "retailer") == 0 ? COUNT(conditions) : 1;

                specific_a += *cell(&caps, a, conditions[i]) ? weight : 0;
                specific_b += *cell(&caps, b, conditions[i]) ? weight : 0;
            }
            assert_false(specific_a == specific_b && can_meet(a, b, conditions, COUNT(conditions)));
        }
    }
}

static void test_scarce_goods_have_caps_for_all(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < products.rows; i++) {
        const char *code = cell(&products, i, "code");
        size_t grid = 0, cap;

        for (cap = 0; cap < caps.rows; cap++) {
            grid += strcmp(cell(&caps, cap, "product"), code) == 0 && *cell(&caps, cap, "tier") &&
                    *cell(&caps, cap, "market_type") && !*cell(&caps, cap, "class");
        }
        assert_int_equal(grid, strcmp(cell(&products, i, "scarce"), "true") == 0 ? 4 * 3 : 0);
    }
}

/* Adds the normalised numbers of a row to the list; each is nobody's. */
static void add_numbers(const struct table *table, size_t row, char **list, size_t *n)
{
    char *text = strdup(cell(table, row, "phones")), *rest = text, *phone;

    for (phone = strtok_r(text, ";", &rest); phone; phone = strtok_r(NULL, ";", &rest)) {
        char number[RB_PHONE_SIZE];

        assert_true(rb_phone_normalize(phone, strlen(phone), AREA_CODE, number));
        assert_true(strncmp(number, "+86154", 6) == 0 || strncmp(number, "+864161", 7) == 0 ||
                    strncmp(number, "80", 2) == 0);
        list[(*n)++] = strdup(number);
    }
    free(text);
}

static void test_numbers_are_nobodys_and_few_are_shared(void **state)
{
    char **list = calloc(2 * (retailers.rows + people.rows), sizeof(*list));
    size_t n = 0, shared = 0, i;

    (void)state;
    assert_non_null(list);
    for (i = 0; i < retailers.rows; i++) {
        add_numbers(&retailers, i, list, &n);
    }
    assert_true(n > retailers.rows + retailers.rows / 10); /* some have two */
    for (i = 0; i < people.rows; i++) {
        add_numbers(&people, i, list, &n);
    }
    qsort(list, n, sizeof(*list), by_text);
    for (i = 1; i < n; i++) {
        shared += strcmp(list[i - 1], list[i]) == 0;
    }
    assert_int_equal(shared, 5); /* four pairs of one manager, one of two */
    free_fields(list, n);
}

static void test_who_shares_a_number(void **state)
{
    size_t first = row_of(&retailers, "41000011"), second = row_of(&retailers, "41000012");
    size_t odd = row_of(&retailers, "41000021"), last = retailers.rows - 1;
    char one[RB_PHONE_SIZE], two[RB_PHONE_SIZE];

    (void)state;
    assert_true(same(&retailers, first, second, "manager"));
    assert_false(same(&retailers, odd, last, "manager"));
    assert_true(rb_phone_normalize(cell(&retailers, first, "phones"),
                                   strlen(cell(&retailers, first, "phones")), AREA_CODE, one));
    assert_true(rb_phone_normalize(cell(&retailers, second, "phones"),
                                   strlen(cell(&retailers, second, "phones")), AREA_CODE, two));
    assert_string_equal(one, two);
    assert_true(rb_phone_normalize(cell(&retailers, odd, "phones"), strlen(cell(&retailers, odd, "phones")),
                                   AREA_CODE, one));
    assert_true(rb_phone_normalize(cell(&retailers, last, "phones"), strlen(cell(&retailers, last, "phones")),
                                   AREA_CODE, two));
    assert_string_equal(one, two);
}

static void test_more_retailers_bring_more_managers(void **state)
{
    char path[4096];
    struct table larger = {0}, shops = {0};

    (void)state;
    path_of(path, "larger", "");
    assert_int_equal(run("--retailers", "19000", path, NULL), 0);
    read_table("larger", "people.csv", &larger);
    read_table("larger", "retailers.csv", &shops);
    assert_int_equal(count(&larger, "role", "account_manager"), 100);
    assert_int_equal(count(&larger, "role", "market_manager"), 25);
    assert_int_equal(shops.rows, 19000);
    assert_all_different(&larger);
    assert_all_different(&shops);
    assert_string_equal(cell(&shops, 3, "name"), cell(&retailers, 3, "name"));
    free_table(&larger);
    free_table(&shops);
}

static void test_wrong_usage(void **state)
{
    char path[4096];

    (void)state;
    path_of(path, "none", "");
    assert_int_equal(run(NULL, NULL, NULL, NULL), 2);
    assert_int_equal(run("--retailers", "0", path, NULL), 2);
    assert_int_equal(run("--retailers", "many", path, NULL), 2);
    assert_int_equal(run("--products", "-1", path, NULL), 2);
    assert_int_equal(run("/nowhere/at/all", NULL, NULL, NULL), 1);
}

static int unlink_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat, (void)flag, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    char path[4096], *end;
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 32);

    (void)state;
    assert_true(len > 0);
    program[len] = 0;
    end = strstr(program, "/tests/");
    assert_non_null(end);
    snprintf(end, sizeof(program) - (size_t)(end - program), "/ringback-sample");
    assert_non_null(mkdtemp(folder));
    path_of(path, "first", "");
    assert_int_equal(run(path, NULL, NULL, NULL), 0);
    read_table("first", "people.csv", &people);
    read_table("first", "retailers.csv", &retailers);
    read_table("first", "products.csv", &products);
    read_table("first", "caps.csv", &caps);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free_table(&people);
    free_table(&retailers);
    free_table(&products);
    free_table(&caps);
    return nftw(folder, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_no_code_twice),
        cmocka_unit_test(test_line_of_command),
        cmocka_unit_test(test_retailers_belong_somewhere),
        cmocka_unit_test(test_substitutes_can_be_had),
        cmocka_unit_test(test_caps_never_contradict),
        cmocka_unit_test(test_scarce_goods_have_caps_for_all),
        cmocka_unit_test(test_numbers_are_nobodys_and_few_are_shared),
        cmocka_unit_test(test_who_shares_a_number),
        cmocka_unit_test(test_more_retailers_bring_more_managers),
        cmocka_unit_test(test_wrong_usage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
