-- One row per genre.
SELECT id, name, description, updated_at FROM content.genre
