-- The calls of the last hours are found by calls_in_order, the order of a call by orders_by_call.
DROP INDEX orders_by_time, calls_by_time;
