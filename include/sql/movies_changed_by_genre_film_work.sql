-- Films that were given a genre.
SELECT film_work_id AS id, updated_at
FROM content.genre_film_work
WHERE updated_at >= %(low)s AND updated_at <= %(high)s
