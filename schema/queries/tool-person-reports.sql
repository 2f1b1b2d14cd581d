SELECT set_person_reports($1, $2, $3, $4)
