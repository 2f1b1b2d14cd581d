/*
 * The sample branch: how many of each there are and who belongs to whom, decided in one place (plan.c), and
 * the four writers, one for each file of the import. main.c calls them; nothing here knows a database.
 */
#ifndef RB_TOOLS_SAMPLE_SAMPLE_H
#define RB_TOOLS_SAMPLE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/sample/random.h"

#define SAMPLE_MOST_RETAILERS 900000
#define SAMPLE_MOST_PRODUCTS 960
#define SAMPLE_TEXT 128 /* bytes of any code, name or place, NUL included */

enum role { SUPERVISOR, MARKET_MANAGER, ACCOUNT_MANAGER, OPERATOR, DELIVERER, INSPECTOR, ROLES };
enum market { CITY, TOWN, VILLAGE, MARKETS };

struct plan {
    unsigned retailers;
    unsigned products;
    uint64_t seed;
    unsigned count[ROLES]; /* people */
    unsigned areas;
};

void plan_init(struct plan *plan, unsigned retailers, unsigned products, uint64_t seed);

/* All indexes count from 0. What takes text writes there and returns it. */
const char *person_code(const struct plan *plan, enum role role, unsigned index, char text[SAMPLE_TEXT]);
const char *retailer_code(unsigned index, char text[SAMPLE_TEXT]);
const char *product_code(const struct plan *plan, unsigned index, char text[SAMPLE_TEXT]);
const char *area_word(unsigned area,
                      char text[SAMPLE_TEXT]); /* its name, its routes and its shops carry it */

unsigned area_of(const struct plan *plan, unsigned manager);    /* where an account manager works */
unsigned area_first(const struct plan *plan, unsigned area);    /* its first account manager */
unsigned book_first(const struct plan *plan, unsigned manager); /* an account manager's first retailer */

unsigned brand_size(const struct plan *plan); /* specifications of one brand, at least 10 */

/* What a product is worth: decided in products.c, needed by the caps as well. */
struct goods {
    unsigned price_class; /* 1 … 5 */
    unsigned price_fen;   /* wholesale, a carton */
    bool scarce;
    bool controlled;
};
struct goods product_goods(const struct plan *plan, unsigned index);

/* The n-th landline of the branch's town, n below 1,000,000 (people's are those from
 * SAMPLE_MOST_RETAILERS on), spelt in one of the ways people write it. */
void landline_number(struct dice *dice, unsigned n, char text[SAMPLE_TEXT]);

void write_people(const struct plan *plan, FILE *out);
void write_retailers(const struct plan *plan, FILE *out);
void write_products(const struct plan *plan, FILE *out);
void write_caps(const struct plan *plan, FILE *out);

#endif
