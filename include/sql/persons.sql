-- One row per person with the films of each role; LATERAL, so that a condition on id reads those people alone, through indexes.
SELECT p.id, p.full_name, r.roles, p.updated_at
FROM content.person p
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('role', by_role.role, 'film_ids', by_role.film_ids) ORDER BY by_role.role), '[]') AS roles
    FROM (
        SELECT link.role, jsonb_agg(link.film_work_id ORDER BY link.film_work_id) AS film_ids
        FROM content.person_film_work link
        WHERE link.person_id = p.id
        GROUP BY link.role
    ) by_role
) r
