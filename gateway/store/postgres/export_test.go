package postgres

// OpenAs is Open with another schema than the program's own.
var OpenAs = openAs
