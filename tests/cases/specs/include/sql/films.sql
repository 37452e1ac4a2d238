-- All films.
SELECT film_id, title, updated_at
FROM content.film
