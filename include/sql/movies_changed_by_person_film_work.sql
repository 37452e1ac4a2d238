-- Films that someone joined, or took another part in. Who left shows in no cursor: the counters of the table do.
SELECT film_work_id AS id, updated_at
FROM content.person_film_work
WHERE updated_at >= %(low)s AND updated_at <= %(high)s
