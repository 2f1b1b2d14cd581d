-- The first branch, when there is none: code, name, time zone, actor. Gives whether it was made, and whether the code is there.
SELECT made, EXISTS (SELECT FROM branches WHERE code = $1) OR made
FROM (SELECT first_branch($1, $2, $3, $4) AS made) first
