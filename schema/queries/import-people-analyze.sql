ANALYZE people, person_phones, areas
