-- What happens in the cinema between the two cycles of the demo. demo.round counts the calls, so that each finds other rows to change.

-- change: films rated anew
UPDATE content.film_work SET rating = round(coalesce(rating, 5)::numeric % 9 + 0.7, 1)::float, updated_at = now()
WHERE id IN (SELECT id FROM content.film_work ORDER BY md5(id || 'rated' || current_setting('demo.round')) LIMIT 25);

-- change: films added
INSERT INTO content.film_work
SELECT md5('late/' || current_setting('demo.round'))::uuid, 'Late Night Premiere ' || current_setting('demo.round'),
       'Ночной показ: a film that came after the first cycle', current_date, NULL, 'movie', now(), now();

-- change: parts added
INSERT INTO content.person_film_work
SELECT md5('late/' || current_setting('demo.round') || id || role)::uuid, md5('late/' || current_setting('demo.round'))::uuid, id, role, now(), now()
FROM (SELECT id FROM content.person ORDER BY md5(id || 'cast' || current_setting('demo.round')) LIMIT 3) p, unnest(ARRAY['actor', 'writer', 'director']) role;

-- change: genre links added
INSERT INTO content.genre_film_work
SELECT md5('late/' || current_setting('demo.round') || id)::uuid, md5('late/' || current_setting('demo.round'))::uuid, id, now(), now()
FROM (SELECT id FROM content.genre ORDER BY md5(id || current_setting('demo.round')) LIMIT 2) g;

-- change: films deleted, with their links
DELETE FROM content.film_work
WHERE id IN (
    SELECT id FROM content.film_work WHERE title NOT LIKE 'Late Night Premiere %' ORDER BY md5(id || 'deleted' || current_setting('demo.round')) LIMIT 5
);

-- change: people renamed
UPDATE content.person SET full_name = regexp_replace(full_name, ' [IVXL]+$', '') || ' ' || to_char(current_setting('demo.round')::int + 1, 'FMRN'), updated_at = now()
WHERE id = (SELECT person_id FROM content.person_film_work GROUP BY person_id ORDER BY count(*) DESC, person_id LIMIT 1);

-- change: genres renamed
UPDATE content.genre SET name = regexp_replace(name, ' [IVXL]+$', '') || ' ' || to_char(current_setting('demo.round')::int + 1, 'FMRN'), updated_at = now()
WHERE id = (SELECT id FROM content.genre ORDER BY md5(id || 'renamed' || current_setting('demo.round')) LIMIT 1);

-- change: parts removed, which no cursor shows
DELETE FROM content.person_film_work
WHERE id IN (SELECT id FROM content.person_film_work WHERE role = 'actor' ORDER BY md5(id || 'removed' || current_setting('demo.round')) LIMIT 2);

-- change: genre links removed, which no cursor shows
DELETE FROM content.genre_film_work
WHERE id = (SELECT id FROM content.genre_film_work ORDER BY md5(id || 'removed' || current_setting('demo.round')) LIMIT 1);

-- change: marks changed
UPDATE ugc.ratings SET rating = 1 + rating % 10, updated_at = now()
WHERE (film_id, user_id) IN (SELECT film_id, user_id FROM ugc.ratings ORDER BY md5(film_id || '/' || user_id || current_setting('demo.round')) LIMIT 200);

-- change: marks taken back
DELETE FROM ugc.ratings
WHERE film_id = (SELECT film_id FROM ugc.ratings GROUP BY film_id ORDER BY md5(film_id || current_setting('demo.round')) LIMIT 1);

-- change: rentals returned
UPDATE ugc.rentals SET returned_at = now(), updated_at = now()
WHERE id IN (SELECT id FROM ugc.rentals WHERE returned_at IS NULL ORDER BY id LIMIT 10);

-- change: rentals made
INSERT INTO ugc.rentals
SELECT (SELECT max(id) FROM ugc.rentals) + row_number() OVER (ORDER BY id), film_id, user_id, now(), NULL, now()
FROM (SELECT id, film_id, user_id FROM ugc.rentals ORDER BY md5(id || current_setting('demo.round')) LIMIT 30) r;

-- change: rentals struck out
DELETE FROM ugc.rentals
WHERE id IN (SELECT id FROM ugc.rentals ORDER BY md5(id || 'struck' || current_setting('demo.round')) LIMIT 7);
