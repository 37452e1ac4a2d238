-- The schema of an online cinema, empty. What stood there before goes.
-- updated_at is kept by the application, as in the cinemas this one is modelled on: no trigger does it.
DROP SCHEMA IF EXISTS content, ugc CASCADE;
CREATE SCHEMA content;
CREATE SCHEMA ugc;

CREATE TABLE content.film_work (
    id uuid PRIMARY KEY,
    title text NOT NULL,
    description text,
    creation_date date,
    rating float,
    type text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE content.person (
    id uuid PRIMARY KEY,
    full_name text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE content.genre (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    description text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE content.person_film_work (
    id uuid PRIMARY KEY,
    film_work_id uuid NOT NULL REFERENCES content.film_work ON DELETE CASCADE,
    person_id uuid NOT NULL REFERENCES content.person ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('actor', 'director', 'writer')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE content.genre_film_work (
    id uuid PRIMARY KEY,
    film_work_id uuid NOT NULL REFERENCES content.film_work ON DELETE CASCADE,
    genre_id uuid NOT NULL REFERENCES content.genre ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE ugc.rentals (
    id bigint PRIMARY KEY,
    film_id uuid NOT NULL,
    user_id uuid NOT NULL,
    rented_at timestamptz NOT NULL,
    returned_at timestamptz,
    updated_at timestamptz NOT NULL
);
CREATE TABLE ugc.ratings (
    film_id uuid,
    user_id uuid,
    rating smallint NOT NULL CHECK (rating BETWEEN 1 AND 10),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (film_id, user_id)
);

-- Any role that may connect may read, and only read: a source grants no more than SELECT.
GRANT USAGE ON SCHEMA content, ugc TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA content, ugc TO PUBLIC;
