-- One row per person with each part in a film; include/transforms/persons.py groups them. LATERAL: a condition on id reads those people alone, by index.
SELECT p.id, p.full_name, r.parts, p.updated_at
FROM content.person p
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('role', link.role, 'film_id', link.film_work_id) ORDER BY link.role, link.film_work_id), '[]') AS parts
    FROM content.person_film_work link
    WHERE link.person_id = p.id
) r
