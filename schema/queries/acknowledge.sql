-- $1 the link's token, $2 whether to acknowledge (POST) or only to look.
SELECT what, reference, due FROM acknowledge_by_link($1, $2)
