-- Mean and number of the ratings of each film that was rated.
SELECT film_id, AVG(rating)::float8 AS avg_rating, COUNT(*)::int AS ratings_count FROM ugc.ratings GROUP BY film_id
