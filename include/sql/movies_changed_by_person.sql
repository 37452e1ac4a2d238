-- Films of the people whose rows changed, by name for instance.
SELECT link.film_work_id AS id, person.updated_at
FROM content.person
JOIN content.person_film_work link ON link.person_id = person.id
WHERE person.updated_at >= %(low)s AND person.updated_at <= %(high)s
