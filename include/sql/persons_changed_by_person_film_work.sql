-- People who joined a film, or took another part in it.
SELECT person_id AS id, updated_at
FROM content.person_film_work
WHERE updated_at >= %(low)s AND updated_at <= %(high)s
