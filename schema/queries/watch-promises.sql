SELECT branch, open, overdue, due_soon, unacknowledged, worst_seconds, kept, late, proved, recorded FROM watch_promises()
