-- Narrow rows, the same at every call but for the day they end on: bench.rows of them, one a second, the last of them two days ago.
DROP TABLE IF EXISTS events;
CREATE TABLE events (
    id bigint PRIMARY KEY,
    user_id int NOT NULL,
    kind text NOT NULL,
    amount numeric(12,2),
    payload jsonb,
    updated_at timestamptz NOT NULL
);
INSERT INTO events
SELECT g, (hashint8(g) & 2147483647) % 100000, (ARRAY['purchase', 'pageview', 'signedup', 'refunded'])[1 + g % 4],
       round((abs(hashint8extended(g, 7)) % 10000000) / 100.0, 2),
       jsonb_build_object('sid', md5(g::text), 'ip', '10.0.' || (g % 250) || '.' || (g % 199), 'ua', 'Mozilla/5.0', 'n', g % 1000, 'ok', g % 2 = 0),
       date_trunc('day', now()) - interval '2 days' + (g - n) * interval '1 second'
FROM (SELECT current_setting('bench.rows')::bigint AS n) size, generate_series(1, n) g;
CREATE INDEX events_updated_at ON events (updated_at);
GRANT SELECT ON events TO PUBLIC;
