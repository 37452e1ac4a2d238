-- The least one would ask by hand to see whether a table moved.
SELECT pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid), pg_relation_filenode(c.oid),
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database())
  FROM pg_class c WHERE c.oid = %s::regclass
