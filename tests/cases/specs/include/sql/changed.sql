SELECT film_id, updated_at FROM content.person
WHERE updated_at >= %(low)s AND updated_at <= %(high)s
