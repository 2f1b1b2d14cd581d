ANALYZE incoming
