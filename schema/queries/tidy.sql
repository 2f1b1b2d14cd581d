SELECT tidy() AS made, tidy_sessions() AS sessions
