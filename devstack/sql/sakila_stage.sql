-- Sakila as it stands in devstack/data, one temporary table a file. Its timestamps carry no zone: they are read as UTC.
SET LOCAL timezone = 'UTC';
CREATE TEMP TABLE actor (actor_id int PRIMARY KEY, first_name text, last_name text, last_update timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE category (category_id int PRIMARY KEY, name text, last_update timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE film (film_id int PRIMARY KEY, title text, description text, release_year int, last_update timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE film_actor (actor_id int, film_id int) ON COMMIT DROP;
CREATE TEMP TABLE film_category (film_id int, category_id int) ON COMMIT DROP;
CREATE TEMP TABLE inventory (inventory_id int PRIMARY KEY, film_id int) ON COMMIT DROP;
CREATE TEMP TABLE customer (customer_id int PRIMARY KEY, first_name text, last_name text) ON COMMIT DROP;
CREATE TEMP TABLE rental (rental_id int PRIMARY KEY, rental_date timestamptz, inventory_id int, customer_id int, return_date timestamptz) ON COMMIT DROP;
