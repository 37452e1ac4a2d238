-- Films of the genres whose rows changed.
SELECT link.film_work_id AS id, genre.updated_at
FROM content.genre
JOIN content.genre_film_work link ON link.genre_id = genre.id
WHERE genre.updated_at >= %(low)s AND genre.updated_at <= %(high)s
