-- Names of assets and markets need not be ASCII, and may be longer.
ALTER TABLE assets MODIFY name VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;
ALTER TABLE markets MODIFY symbol VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;
