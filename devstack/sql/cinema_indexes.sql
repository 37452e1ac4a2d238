-- Made after the rows are in: each link once a film, both ways along every link, and every cursor.
CREATE UNIQUE INDEX ON content.person_film_work (film_work_id, person_id, role);
CREATE UNIQUE INDEX ON content.genre_film_work (film_work_id, genre_id);
CREATE INDEX ON content.person_film_work (person_id);
CREATE INDEX ON content.genre_film_work (genre_id);
CREATE INDEX ON content.film_work (updated_at);
CREATE INDEX ON content.person (updated_at);
CREATE INDEX ON content.genre (updated_at);
CREATE INDEX ON content.person_film_work (updated_at);
CREATE INDEX ON content.genre_film_work (updated_at);
CREATE INDEX ON ugc.ratings (updated_at);
CREATE INDEX ON ugc.rentals (updated_at);
CREATE INDEX ON ugc.rentals (film_id);
