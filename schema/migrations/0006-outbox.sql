-- The indexes of the two queues. An entry of a row that was claimed is dead, and the next look marks it so and passes over
-- it from then on; an entry that shares its list with others (equal keys, as a batch makes them) can only be marked when all
-- of the list are dead, so that every look would visit all of their rows until the next VACUUM.
ALTER INDEX notifications_waiting SET (deduplicate_items = off);
ALTER INDEX notifications_sending SET (deduplicate_items = off);
ALTER INDEX follow_up_steps_due SET (deduplicate_items = off);
