SELECT 1 AS film_id
-- café
