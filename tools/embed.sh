#!/bin/sh
# Turns .sql files (and parts of the OpenAPI document) into one C source: for schema/queries/claim.sql a constant rb_sql_claim.
#   embed.sh queries FILE...      one constant a file
#   embed.sh migrations FILE...   the table rb_migrations[] of name and text, in the order given
#   embed.sh functions FILE...    the table rb_functions[], likewise
#   embed.sh documents FILE...    the table rb_documents[] of parts of the OpenAPI document, likewise
set -eu
kind=$1
shift
literal() { sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$1"; }
echo "/* Made by tools/embed.sh: do not edit. */"
echo '#include "schema/schema.h"'
case $kind in
queries)
    for file; do
        name=$(basename "$file" .sql | tr - _)
        printf 'const char rb_sql_%s[] =\n%s;\n' "$name" "$(literal "$file")"
    done
    ;;
migrations | functions | documents)
    printf 'const struct rb_script rb_%s[] = {\n' "$kind"
    for file; do
        printf '  {"%s",\n%s},\n' "$(basename "${file%.*}")" "$(literal "$file")"
    done
    printf '  {0, 0}\n};\n'
    ;;
esac
