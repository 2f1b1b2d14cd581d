/*
 * retailers.csv: the shops of each account manager's book, spread over his five weekday routes. Also how
 * numbers are spelt, which is as varied as in real files, and which retailers share one.
 */
#include "tools/sample/sample.h"
#include "tools/sample/words.h"

#define OWN_MOBILES 10000000 /* numbers below are for people */
#define MOBILE_SPAN 90000000
#define PAIR 10 /* in a book, the shop at this place and the next one share a number */
#define BOOKS_WITH_PAIR 4
#define ODD_PAIR 20 /* the last retailer of all has this one's number */

enum trade { GROCERY, CONVENIENCE, SUPERMARKET, TOBACCO, HOTEL, OTHER, TRADES };

struct shop {
    unsigned index; /* among all retailers */
    unsigned place; /* in the manager's book */
    unsigned manager;
    unsigned area;
    enum market market;
    enum trade trade;
    unsigned tier; /* 1 … 4 */
};

static const char *const trade_name[TRADES] = {"食杂店", "便利店", "超市", "烟酒店", "宾馆", "其他"};
static const char *const trade_sign[TRADES][3] = {
    {"食杂店", "副食店", "商店"},     {"便利店", "便民店", "便利"}, {"超市", "便民超市", "生活超市"},
    {"烟酒店", "烟酒行", "名烟名酒"}, {"宾馆", "旅馆", "饭店"},     {"综合商店", "日杂店", "文具店"}};

/* Where an area lies, so lie its shops: the first two of four are of the town, the others further out. */
static enum market choose_market(struct dice *dice, unsigned area)
{
    static const unsigned weights[4][MARKETS] = {{85, 12, 3}, {70, 22, 8}, {20, 60, 20}, {5, 35, 60}};

    return (enum market)dice_weighted(dice, weights[area % 4], MARKETS);
}

static enum trade choose_trade(struct dice *dice, enum market market)
{
    static const unsigned weights[MARKETS][TRADES] = {
        {40, 22, 10, 18, 6, 4}, {52, 16, 10, 14, 4, 4}, {74, 8, 8, 4, 1, 5}};

    return (enum trade)dice_weighted(dice, weights[market], TRADES);
}

static void mobile_number(struct dice *dice, unsigned n, char text[SAMPLE_TEXT])
{
    static const unsigned weights[] = {86, 7, 4, 3};
    static const char *const before[] = {"", "", "", "+86 "};
    static const char *const between[] = {"", " ", "-", " "};
    size_t form = dice_weighted(dice, weights, 4);
    /* One to one over the span, since the factor has no divisor in common with it. */
    unsigned own = OWN_MOBILES + (unsigned)((uint64_t)n * 52711693 % MOBILE_SPAN);

    snprintf(text, SAMPLE_TEXT, "%s154%s%04u%s%04u", before[form], between[form], own / 10000, between[form],
             own % 10000);
}

/* Local numbers begin with 1, which no exchange gives out. */
void landline_number(struct dice *dice, unsigned n, char text[SAMPLE_TEXT])
{
    static const unsigned weights[] = {80, 10, 10};
    static const char *const before[] = {"", "(", ""};
    static const char *const after[] = {"-", ")", " "};
    size_t form = dice_weighted(dice, weights, 3);

    snprintf(text, SAMPLE_TEXT, "%s0416%s%07u", before[form], after[form], 1000000 + n);
}

/* Whose number a shop shows: its own (index), or that of the one it shares with. *shared says whether another
 * shop has it too. */
static unsigned number_owner(const struct plan *plan, const struct shop *shop, bool *shared)
{
    bool paired = shop->manager < BOOKS_WITH_PAIR &&
                  book_first(plan, shop->manager) + PAIR + 1 < book_first(plan, shop->manager + 1);
    bool odd = plan->retailers > 2 * ODD_PAIR;

    *shared = true;
    if (paired && (shop->place == PAIR || shop->place == PAIR + 1)) {
        return shop->index - (shop->place - PAIR);
    }
    if (odd && (shop->index == ODD_PAIR || shop->index == plan->retailers - 1)) {
        return ODD_PAIR;
    }
    *shared = false;
    return shop->index;
}

static void write_phones(const struct plan *plan, const struct shop *shop, struct dice *dice, FILE *out)
{
    char mobile[SAMPLE_TEXT], other[SAMPLE_TEXT];
    bool shared;
    unsigned owner = number_owner(plan, shop, &shared), kind = dice_below(dice, 100);

    mobile_number(dice, 2 * owner, mobile);
    if (shared || kind >= 19) {
        fputs(mobile, out);
        return;
    }
    if (kind < 6) {
        mobile_number(dice, 2 * owner + 1, other);
    } else {
        landline_number(dice, (unsigned)((uint64_t)owner * 743591 % SAMPLE_MOST_RETAILERS), other);
    }
    if (kind >= 16) {
        fputs(other, out);
    } else {
        fprintf(out, "%s;%s", mobile, other);
    }
}

static void write_name(const struct shop *shop, const char *surname, const char *given, struct dice *dice,
                       FILE *out)
{
    static const unsigned weights[] = {40, 25, 15, 20};
    const char *sign = trade_sign[shop->trade][dice_below(dice, 3)];

    switch (dice_weighted(dice, weights, 4)) {
    case 0:
        fprintf(out, "%s%s", pick(dice, &luck), sign);
        break;
    case 1:
        fprintf(out, "%s%s", given, sign);
        break;
    case 2:
        fprintf(out, "老%s%s", surname, sign);
        break;
    default:
        fprintf(out, "%s%s%s", pick(dice, shop->market == VILLAGE ? &villages : &places), pick(dice, &luck),
                sign);
    }
}

static void write_address(const struct shop *shop, struct dice *dice, FILE *out)
{
    char word[SAMPLE_TEXT];

    area_word(shop->area, word);
    if (shop->market == VILLAGE) {
        fprintf(out, "%s镇%s村%u组", word, pick(dice, &villages), dice_between(dice, 1, 9));
    } else {
        fprintf(out, "%s%s%s%u号", word, shop->market == TOWN ? "镇" : "", pick(dice, &streets),
                dice_between(dice, 1, 320));
    }
}

/* Area, route and order day: each weekday of a manager is one route of his area. A few order on any day. */
static void write_route(const struct plan *plan, const struct shop *shop, struct dice *dice, FILE *out)
{
    char word[SAMPLE_TEXT];
    unsigned size = book_first(plan, shop->manager + 1) - book_first(plan, shop->manager);
    unsigned day = 1 + shop->place * 5 / size;
    unsigned route = (shop->manager - area_first(plan, shop->area)) * 5 + day;

    area_word(shop->area, word);
    fprintf(out, "%s片区,%s%u线,", word, word, route);
    if (!dice_percent(dice, 2)) {
        fprintf(out, "%u", day);
    }
}

/* What follows the order day up to the settlement. */
static void write_judgement(const struct shop *shop, struct dice *dice, FILE *out)
{
    static const unsigned key_percent[] = {1, 6, 30, 60};
    static const unsigned compliance_weights[] = {94, 5, 1}, settlement_weights[] = {88, 9, 3};
    static const char *const compliance[] = {"good", "warned", "bad"};
    static const char *const settlement[] = {"bank_debit", "pos", "cash"};
    static const char *const market[MARKETS] = {"city", "town", "village"};
    static const char *const circle[MARKETS][4] = {{"居民区", "商业区", "学校", "交通枢纽"},
                                                   {"居民区", "集市", "学校", "工业区"},
                                                   {"村屯", "集市", "公路沿线", "旅游区"}};
    const char *class = dice_percent(dice, key_percent[shop->tier - 1]) ? "key" : "ordinary";
    const char *law = compliance[dice_weighted(dice, compliance_weights, 3)];
    const char *around = circle[shop->market][dice_below(dice, 4)];

    fprintf(out, "%u,%s,%s,%s,%s,%s,%s", shop->tier, class, law, market[shop->market],
            trade_name[shop->trade], around, settlement[dice_weighted(dice, settlement_weights, 3)]);
}

static void write_retailer(const struct plan *plan, struct shop *shop, FILE *out)
{
    static const unsigned tiers[] = {40, 30, 20, 10}, volume[] = {30, 80, 160, 300};
    struct dice dice = dice_for(plan->seed, "retailer", shop->index);
    const char *surname = pick(&dice, &surnames), *given = pick(&dice, &given_names);
    char code[SAMPLE_TEXT], manager[SAMPLE_TEXT];

    shop->market = choose_market(&dice, shop->area);
    shop->trade = choose_trade(&dice, shop->market);
    shop->tier = 1 + (unsigned)dice_weighted(&dice, tiers, 4);
    fprintf(out, "%s,", retailer_code(shop->index, code));
    write_name(shop, surname, given, &dice, out);
    fputc(',', out);
    write_phones(plan, shop, &dice, out);
    fprintf(out, ",%s,", person_code(plan, ACCOUNT_MANAGER, shop->manager, manager));
    write_route(plan, shop, &dice, out);
    fputc(',', out);
    write_judgement(shop, &dice, out);
    fprintf(out, ",9941%08u,%s%s,%s,%u,", shop->index + 1, surname, given, pick(&dice, &families),
            dice_between(&dice, volume[shop->tier - 1] / 2, volume[shop->tier - 1] * 3 / 2));
    write_address(shop, &dice, out);
    fputc('\n', out);
}

void write_retailers(const struct plan *plan, FILE *out)
{
    struct shop shop = {0};

    fputs("code,name,phones,manager,area,route,order_day,tier,class,compliance,market_type,trade_type,"
          "business_circle,settlement,licence,legal_person,family,monthly_volume,address\n",
          out);
    for (; shop.manager < plan->count[ACCOUNT_MANAGER]; shop.manager++) {
        unsigned first = book_first(plan, shop.manager), beyond = book_first(plan, shop.manager + 1);

        shop.area = area_of(plan, shop.manager);
        for (shop.index = first; shop.index < beyond; shop.index++) {
            shop.place = shop.index - first;
            write_retailer(plan, &shop, out);
        }
    }
}
