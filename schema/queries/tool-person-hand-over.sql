-- $1 branch, $2 from, $3 to, $4 whether to retire him, $5 reason or null, $6 actor. What was moved, as a line for the terminal.
SELECT format('%s retailers, %s follow-ups, %s requests, %s tasks; deputy of %s, superior of %s', j ->> 'retailers', j ->> 'follow_ups',
              j ->> 'requests', j ->> 'tasks', j ->> 'deputy_of', j ->> 'people')
FROM hand_over_person($1::integer, $2, $3, $4::boolean, $5, $6) j
