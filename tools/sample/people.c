/*
 * people.csv: the line of command from the supervisors down to the account managers, and the rest of the
 * front line. An account manager's deputy is the next one of his area.
 */
#include "common/err.h"
#include "tools/sample/sample.h"
#include "tools/sample/words.h"

#define FIRST_EXTENSION 8001

static const char *const role_name[ROLES] = {"supervisor", "market_manager", "account_manager",
                                             "operator",   "deliverer",      "inspector"};

/* row: the person's number among all, which his mobile carries. Operators have a desk, managers often both.
 */
static void write_phones(enum role role, unsigned index, unsigned row, struct dice *dice, FILE *out)
{
    char landline[SAMPLE_TEXT];

    if (role == OPERATOR) {
        fprintf(out, "%u", FIRST_EXTENSION + index);
        return;
    }
    fprintf(out, "154%08u", row);
    if ((role == ACCOUNT_MANAGER && dice_percent(dice, 40)) || role == MARKET_MANAGER || role == SUPERVISOR) {
        landline_number(dice, SAMPLE_MOST_RETAILERS + row, landline);
        fprintf(out, ";%s", landline);
    }
}

/* The area of those who have one; deliverers and inspectors are spread over all areas. */
static bool area_by_role(const struct plan *plan, enum role role, unsigned index, unsigned *area)
{
    *area = role == ACCOUNT_MANAGER ? area_of(plan, index) : index % plan->areas;
    return role != SUPERVISOR && role != OPERATOR;
}

static void superior(const struct plan *plan, enum role role, unsigned index, char text[SAMPLE_TEXT])
{
    RB_INVARIANT(plan->count[SUPERVISOR] > 0);
    if (role == SUPERVISOR) {
        text[0] = 0;
    } else if (role == ACCOUNT_MANAGER) {
        person_code(plan, MARKET_MANAGER, area_of(plan, index), text);
    } else {
        person_code(plan, SUPERVISOR, role == OPERATOR ? 0 : index % plan->count[SUPERVISOR], text);
    }
}

static void deputy(const struct plan *plan, enum role role, unsigned index, char text[SAMPLE_TEXT])
{
    unsigned area, first, beyond;

    text[0] = 0;
    if (role != ACCOUNT_MANAGER) {
        return;
    }
    area = area_of(plan, index);
    first = area_first(plan, area);
    beyond = area_first(plan, area + 1);
    if (beyond - first > 1) {
        person_code(plan, ACCOUNT_MANAGER, index + 1 == beyond ? first : index + 1, text);
    }
}

static void write_person(const struct plan *plan, enum role role, unsigned index, unsigned row, FILE *out)
{
    struct dice dice = dice_for(plan->seed, role_name[role], index);
    char code[SAMPLE_TEXT], above[SAMPLE_TEXT], instead[SAMPLE_TEXT], word[SAMPLE_TEXT];
    const char *surname = pick(&dice, &surnames), *given = pick(&dice, &given_names);
    unsigned area;
    bool placed = area_by_role(plan, role, index, &area);

    superior(plan, role, index, above);
    deputy(plan, role, index, instead);
    fprintf(out, "%s,%s%s,%s,", person_code(plan, role, index, code), surname, given, role_name[role]);
    write_phones(role, index, row, &dice, out);
    fprintf(out, ",%s%s,%s,%s\n", placed ? area_word(area, word) : "", placed ? "片区" : "", above, instead);
}

void write_people(const struct plan *plan, FILE *out)
{
    unsigned row = 0, index;
    int role;

    fputs("code,name,role,phones,area,reports_to,deputy\n", out);
    for (role = 0; role < ROLES; role++) {
        for (index = 0; index < plan->count[role]; index++) {
            write_person(plan, (enum role)role, index, ++row, out);
        }
    }
}
