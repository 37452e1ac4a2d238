-- One row per film with what a dashboard groups and filters by.
SELECT id AS film_id, title, type, creation_date, extract(year FROM creation_date)::int AS creation_year, rating, created_at, updated_at
FROM content.film_work
