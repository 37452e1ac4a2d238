-- One row per film with its genres and people; LATERAL, so that a condition on id reads those films alone, through indexes.
SELECT f.id,
       f.rating AS imdb_rating,
       g.genres,
       f.title,
       f.description,
       p.directors_names,
       p.actors_names,
       p.writers_names,
       p.directors,
       p.actors,
       p.writers,
       f.updated_at
FROM content.film_work f
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(genre.name ORDER BY genre.name, genre.id), '{}') AS genres
    FROM content.genre_film_work link
    JOIN content.genre ON genre.id = link.genre_id
    WHERE link.film_work_id = f.id
) g
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(part.name ORDER BY part.name, part.id) FILTER (WHERE part.role = 'director'), '{}') AS directors_names,
           coalesce(array_agg(part.name ORDER BY part.name, part.id) FILTER (WHERE part.role = 'actor'), '{}') AS actors_names,
           coalesce(array_agg(part.name ORDER BY part.name, part.id) FILTER (WHERE part.role = 'writer'), '{}') AS writers_names,
           coalesce(jsonb_agg(part.person ORDER BY part.name, part.id) FILTER (WHERE part.role = 'director'), '[]') AS directors,
           coalesce(jsonb_agg(part.person ORDER BY part.name, part.id) FILTER (WHERE part.role = 'actor'), '[]') AS actors,
           coalesce(jsonb_agg(part.person ORDER BY part.name, part.id) FILTER (WHERE part.role = 'writer'), '[]') AS writers
    FROM (
        SELECT link.role, person.id, person.full_name AS name, jsonb_build_object('id', person.id, 'name', person.full_name) AS person
        FROM content.person_film_work link
        JOIN content.person ON person.id = link.person_id
        WHERE link.film_work_id = f.id
    ) part
) p
