-- As few columns as a pipeline with a cursor needs: bench.rows rows.
CREATE TABLE {table} (id bigint PRIMARY KEY, value int NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO {table}
SELECT g, g % 1000, date_trunc('day', now()) - interval '2 days' + (g - n) * interval '1 millisecond'
FROM (SELECT current_setting('bench.rows')::bigint AS n) size, generate_series(1, n) g;
CREATE INDEX ON {table} (updated_at);
GRANT SELECT ON {table} TO PUBLIC;
