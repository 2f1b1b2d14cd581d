SELECT adopted, given_up, waiting, oldest_seconds, stranded, failed, breakers_open, without_owner FROM watch_outbox()
