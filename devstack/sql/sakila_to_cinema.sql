-- Sakila's tables turned into those of the cinema.
-- Sakila stamps all rows of a table with one time; the number of the row in seconds is added, so that a window of times can hold some rows and not others.
INSERT INTO content.genre
SELECT pg_temp.key('genre/' || category_id), name, NULL, last_update, last_update + category_id * interval '1 second'
FROM category ORDER BY category_id;

INSERT INTO content.person
SELECT pg_temp.key('person/' || actor_id), initcap(first_name || ' ' || last_name), last_update, last_update + actor_id * interval '1 second'
FROM actor ORDER BY actor_id;

INSERT INTO ugc.rentals
SELECT r.rental_id, pg_temp.key('film/' || i.film_id), pg_temp.key('user/' || r.customer_id), r.rental_date, r.return_date,
       coalesce(r.return_date, r.rental_date)
FROM rental r
JOIN inventory i USING (inventory_id)
JOIN customer USING (customer_id)
ORDER BY r.rental_id;

-- Who rented a film rates it once: around a mark of the film (3 to 8), two up or down, drawn from the digits of both names.
WITH rented AS (
    SELECT i.film_id, r.customer_id, max(coalesce(r.return_date, r.rental_date)) AS last_rented
    FROM rental r
    JOIN inventory i USING (inventory_id)
    GROUP BY i.film_id, r.customer_id
)
INSERT INTO ugc.ratings
SELECT pg_temp.key('film/' || film_id), pg_temp.key('user/' || customer_id),
       3 + get_byte(decode(md5('mark/' || film_id), 'hex'), 0) % 6 + get_byte(decode(md5(film_id || '/' || customer_id), 'hex'), 0) % 5 - 2,
       last_rented
FROM rented ORDER BY film_id, customer_id;

-- A film that nobody rented has no rating. Sakila knows only the year of release: month and day are drawn from the number.
INSERT INTO content.film_work
SELECT pg_temp.key('film/' || f.film_id), initcap(f.title), f.description, make_date(f.release_year, 1 + f.film_id % 12, 1 + f.film_id % 28),
       r.rating, 'movie', f.last_update, f.last_update + f.film_id * interval '1 second'
FROM film f
LEFT JOIN (SELECT film_id, round(avg(rating), 1)::float AS rating FROM ugc.ratings GROUP BY film_id) r ON r.film_id = pg_temp.key('film/' || f.film_id)
ORDER BY f.film_id;

INSERT INTO content.genre_film_work
SELECT pg_temp.key('film_genre/' || fc.film_id || '/' || fc.category_id), pg_temp.key('film/' || fc.film_id), pg_temp.key('genre/' || fc.category_id),
       f.last_update, f.last_update + fc.film_id * interval '1 second'
FROM film_category fc
JOIN film f USING (film_id)
ORDER BY fc.film_id, fc.category_id;

-- Sakila has only actors: each film gets a director and two writers, drawn from the actors by the film's number.
WITH actors AS (SELECT count(*)::int AS n FROM actor),
part AS (
    SELECT film_id, actor_id, 'actor' AS role FROM film_actor
    UNION SELECT film_id, 1 + film_id * 7 % n, 'director' FROM film, actors
    UNION SELECT film_id, 1 + film_id * 11 % n, 'writer' FROM film, actors
    UNION SELECT film_id, 1 + film_id * 13 % n, 'writer' FROM film, actors
)
INSERT INTO content.person_film_work
SELECT pg_temp.key('part/' || p.film_id || '/' || p.actor_id || '/' || p.role), pg_temp.key('film/' || p.film_id), pg_temp.key('person/' || p.actor_id),
       p.role, f.last_update, f.last_update + p.film_id * interval '1 second'
FROM part p
JOIN film f USING (film_id)
ORDER BY p.film_id, p.role, p.actor_id;
