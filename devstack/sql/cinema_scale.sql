-- The cinema at any size, the same at every call: cinema.films films and, of them, persons, parts, ratings and rentals.
-- Numbers are spread by multiplying with primes, not by random(), so that the rows depend on nothing but their number.
CREATE FUNCTION pg_temp.words(n int, seed bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg((ARRAY['the', 'star', 'night', 'harbour', 'love', 'of', 'a', 'silent', 'story', 'young', 'captain', 'woman', 'finds', 'lost', 'city',
        'secret', 'journey', 'must', 'cross', 'against', 'world', 'family', 'and', 'in', 'to', 'winter', 'her', 'after', 'storm', 'return', 'bridge',
        'empire', 'space', 'detective', 'letter', 'friend', 'hope', 'звезда', 'ночь', 'город', 'дорога'])[1 + abs(hashint8extended(seed * 131 + i, 7)) % 41], ' ' ORDER BY i)
    FROM generate_series(1, n) i $$;

CREATE TEMP TABLE size ON COMMIT DROP AS
SELECT n AS films, greatest(8, n * 3 / 10) AS persons, 26 AS genres, greatest(10, n / 10) AS users, timestamptz '2026-01-01 00:00:00+00' AS start
FROM (SELECT current_setting('cinema.films')::int AS n) s;

INSERT INTO content.genre
SELECT pg_temp.key('genre/' || g), 'Genre ' || g, initcap(pg_temp.words(6, g)), start, start + g * interval '1 second'
FROM size, generate_series(1, genres) g;

INSERT INTO content.person
SELECT pg_temp.key('person/' || g), initcap(pg_temp.words(2, g + 7000000)) || ' ' || g, start, start + g * interval '1 second'
FROM size, generate_series(1, persons) g;

INSERT INTO content.film_work
SELECT pg_temp.key('film/' || g), initcap(pg_temp.words(3, g)) || ' ' || g, CASE WHEN g % 50 <> 0 THEN pg_temp.words(40, g + 1000000) END,
       date '1950-01-01' + g % 27000, CASE WHEN g % 20 <> 0 THEN round(1 + g::bigint * 7919 % 90 / 10.0, 1)::float END,
       CASE WHEN g % 10 = 0 THEN 'tv_show' ELSE 'movie' END, start, start + g * interval '1 second'
FROM size, generate_series(1, films) g;

INSERT INTO content.person_film_work
SELECT pg_temp.key('part/' || g || '/' || k), pg_temp.key('film/' || g),
       pg_temp.key('person/' || 1 + (g::bigint * 8191 + k * (persons / 7 + 1)) % persons),
       (ARRAY['actor', 'actor', 'actor', 'writer', 'director'])[k], start, start + g * interval '1 second'
FROM size, generate_series(1, films) g, generate_series(1, 5) k;

INSERT INTO content.genre_film_work
SELECT pg_temp.key('film_genre/' || g || '/' || k), pg_temp.key('film/' || g), pg_temp.key('genre/' || 1 + (g::bigint * 31 + k * 9) % genres),
       start, start + g * interval '1 second'
FROM size, generate_series(1, films) g, generate_series(1, 2) k;

INSERT INTO ugc.ratings
SELECT pg_temp.key('film/' || g), pg_temp.key('user/' || 1 + (g::bigint * 17 + k) % users), 1 + (g::bigint * 7 + k * 3) % 10,
       start + (g + k) * interval '1 second'
FROM size, generate_series(1, films) g, generate_series(1, current_setting('cinema.ratings_per_film')::int) k
WHERE k <= users;

INSERT INTO ugc.rentals
SELECT g::bigint * 100 + k, pg_temp.key('film/' || g), pg_temp.key('user/' || 1 + (g::bigint * 17 + k) % users), start + g * interval '1 second',
       CASE WHEN (g + k) % 90 <> 0 THEN start + (g + k * 86400) * interval '1 second' END,
       CASE WHEN (g + k) % 90 <> 0 THEN start + (g + k * 86400) * interval '1 second' ELSE start + g * interval '1 second' END
FROM size, generate_series(1, films) g, generate_series(1, current_setting('cinema.ratings_per_film')::int) k;
