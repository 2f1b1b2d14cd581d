SELECT tidy() AS made
