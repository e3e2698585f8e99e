-- Names of assets and markets need not be ASCII, and may be longer; the text of this database is UTF-8 of any length as it is.
SELECT 1;
