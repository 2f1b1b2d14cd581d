/*
 * The tables of import_kind.h, as the contract names the columns. Pure: knows neither file nor database.
 */
#include "tools/ringback/import_kind.h"

#include <stdio.h>
#include <string.h>

extern const char rb_sql_import_people_table[], rb_sql_import_people_faults[], rb_sql_import_people[];
extern const char rb_sql_import_people_analyze[];
extern const char rb_sql_import_retailers_table[], rb_sql_import_retailers_faults[],
    rb_sql_import_retailers[];
extern const char rb_sql_import_retailers_analyze[];
extern const char rb_sql_import_products_table[], rb_sql_import_products_faults[], rb_sql_import_products[];
extern const char rb_sql_import_products_analyze[];
extern const char rb_sql_import_caps_table[], rb_sql_import_caps_faults[], rb_sql_import_caps[];
extern const char rb_sql_import_caps_analyze[];
extern const char rb_sql_import_calendar_table[], rb_sql_import_calendar_faults[], rb_sql_import_calendar[];
extern const char rb_sql_import_calendar_analyze[];

#define REQUIRED true
#define OPTIONAL false
#define CODE 64   /* characters of a code */
#define NAME 200  /* of a name or a short text */
#define PLACE 500 /* of an address */
#define PHONES 20 /* numbers of one person or retailer */
#define MOST 1000000000L

#define ROLES "operator account_manager market_manager supervisor deliverer inspector"
#define CLASSES "key ordinary"
#define MARKETS "city town village"

static const struct import_kind kinds[] = {
    {.name = "people",
     .columns = {{"code", FORM_CODE, REQUIRED, 1, CODE, NULL},
                 {"name", FORM_TEXT, REQUIRED, 1, NAME, NULL},
                 {"role", FORM_WORD, REQUIRED, 0, 0, ROLES},
                 {"phones", FORM_PHONES, OPTIONAL, 0, PHONES, NULL},
                 {"area", FORM_CODE, OPTIONAL, 0, CODE, NULL},
                 {"reports_to", FORM_CODE, OPTIONAL, 0, CODE, NULL},
                 {"deputy", FORM_CODE, OPTIONAL, 0, CODE, NULL}},
     .take_faulty = true,
     .table_sql = rb_sql_import_people_table,
     .faults_sql = rb_sql_import_people_faults,
     .apply_sql = rb_sql_import_people,
     .analyze_sql = rb_sql_import_people_analyze},
    {.name = "retailers",
     .columns = {{"code", FORM_CODE, REQUIRED, 1, CODE, NULL},
                 {"name", FORM_TEXT, REQUIRED, 1, NAME, NULL},
                 {"phones", FORM_PHONES, REQUIRED, 1, PHONES, NULL},
                 {"manager", FORM_CODE, REQUIRED, 1, CODE, NULL},
                 {"area", FORM_CODE, OPTIONAL, 0, CODE, NULL},
                 {"route", FORM_CODE, OPTIONAL, 0, CODE, NULL},
                 {"order_day", FORM_NUMBER, OPTIONAL, 1, 7, NULL},
                 {"tier", FORM_NUMBER, OPTIONAL, 1, 4, NULL},
                 {"class", FORM_WORD, OPTIONAL, 0, 0, CLASSES},
                 {"compliance", FORM_WORD, OPTIONAL, 0, 0, "good warned bad"},
                 {"market_type", FORM_WORD, OPTIONAL, 0, 0, MARKETS},
                 {"trade_type", FORM_TEXT, OPTIONAL, 0, NAME, NULL},
                 {"business_circle", FORM_TEXT, OPTIONAL, 0, NAME, NULL},
                 {"settlement", FORM_WORD, OPTIONAL, 0, 0, "bank_debit pos cash"},
                 {"licence", FORM_TEXT, OPTIONAL, 0, NAME, NULL},
                 {"legal_person", FORM_TEXT, OPTIONAL, 0, NAME, NULL},
                 {"family", FORM_TEXT, OPTIONAL, 0, PLACE, NULL},
                 {"monthly_volume", FORM_NUMBER, OPTIONAL, 0, MOST, NULL},
                 {"address", FORM_TEXT, OPTIONAL, 0, PLACE, NULL}},
     .take_faulty = true,
     .table_sql = rb_sql_import_retailers_table,
     .faults_sql = rb_sql_import_retailers_faults,
     .apply_sql = rb_sql_import_retailers,
     .analyze_sql = rb_sql_import_retailers_analyze},
    {.name = "products",
     .columns = {{"code", FORM_CODE, REQUIRED, 1, CODE, NULL},
                 {"name", FORM_TEXT, REQUIRED, 1, NAME, NULL},
                 {"price_fen", FORM_NUMBER, REQUIRED, 0, MOST, NULL},
                 {"price_class", FORM_NUMBER, OPTIONAL, 1, 5, NULL},
                 {"scarce", FORM_FLAG, OPTIONAL, 0, 0, NULL},
                 {"controlled", FORM_FLAG, OPTIONAL, 0, 0, NULL},
                 {"substitutes", FORM_CODES, OPTIONAL, 0, 100, NULL}},
     .take_faulty = true,
     .table_sql = rb_sql_import_products_table,
     .faults_sql = rb_sql_import_products_faults,
     .apply_sql = rb_sql_import_products,
     .analyze_sql = rb_sql_import_products_analyze},
    {.name = "caps",
     .columns = {{"product", FORM_CODE, REQUIRED, 1, CODE, NULL},
                 {"cartons", FORM_NUMBER, REQUIRED, 0, MOST, NULL},
                 {"tier", FORM_NUMBER, OPTIONAL, 1, 4, NULL},
                 {"market_type", FORM_WORD, OPTIONAL, 0, 0, MARKETS},
                 {"trade_type", FORM_TEXT, OPTIONAL, 0, NAME, NULL},
                 {"area", FORM_CODE, OPTIONAL, 0, CODE, NULL},
                 {"class", FORM_WORD, OPTIONAL, 0, 0, CLASSES},
                 {"retailer", FORM_CODE, OPTIONAL, 0, CODE, NULL}},
     .take_faulty = false,
     .table_sql = rb_sql_import_caps_table,
     .faults_sql = rb_sql_import_caps_faults,
     .apply_sql = rb_sql_import_caps,
     .analyze_sql = rb_sql_import_caps_analyze},
    {.name = "calendar",
     .columns = {{"what", FORM_WORD, REQUIRED, 0, 0, "weekly holiday workday special"},
                 {"day", FORM_CODE, REQUIRED, 1, CODE, NULL},
                 {"until", FORM_CODE, OPTIONAL, 0, CODE, NULL},
                 {"hours", FORM_CODE, OPTIONAL, 0, NAME, NULL},
                 {"follows", FORM_NUMBER, OPTIONAL, 1, 7, NULL},
                 {"name", FORM_CODE, OPTIONAL, 0, 100, NULL},
                 {"since", FORM_CODE, OPTIONAL, 0, CODE, NULL}},
     .take_faulty = false,
     .table_sql = rb_sql_import_calendar_table,
     .faults_sql = rb_sql_import_calendar_faults,
     .apply_sql = rb_sql_import_calendar,
     .analyze_sql = rb_sql_import_calendar_analyze}};

const struct import_kind *import_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

static int column_by_name(const struct import_kind *kind, const char *name)
{
    for (int i = 0; i < IMPORT_COLUMNS && kind->columns[i].name; i++) {
        if (strcmp(kind->columns[i].name, name) == 0)
            return i;
    }
    return -1;
}

bool import_header_read(const struct import_kind *kind, char *const *fields, size_t n,
                        struct import_header *header, import_header_fault_fn on_fault, void *ctx)
{
    bool fine = true;
    header->n = n;
    for (int i = 0; i < IMPORT_COLUMNS; i++)
        header->place[i] = -1;
    for (size_t f = 0; f < n; f++) {
        int column = column_by_name(kind, fields[f]);
        const char *reason = NULL;
        if (column < 0)
            reason = fields[f][0] ? "unknown column" : "a column without a name";
        else if (header->place[column] >= 0)
            reason = "named twice";
        else
            header->place[column] = (int)f;
        if (reason) {
            on_fault(ctx, fields[f][0] ? fields[f] : "-", reason);
            fine = false;
        }
    }
    for (int i = 0; i < IMPORT_COLUMNS && kind->columns[i].name; i++) {
        if (kind->columns[i].required && header->place[i] < 0) {
            on_fault(ctx, kind->columns[i].name, "required column is missing");
            fine = false;
        }
    }
    return fine;
}
