SELECT 1 AS film_id;
DELETE FROM content.film
