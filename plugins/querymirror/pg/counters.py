"""What PostgreSQL's statistics say of tables: one cheap query that shows whether anything counted has changed.

Measured at 0.1 to 0.2 ms whatever the tables' size. It must never run inside an open transaction: statistics are cached there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from querymirror.facts import Probe, TableProbe

# Both times of the epoch move when the counters start over; the second also after a crash, which loses what was not flushed.
_COUNTERS = sql.SQL("""
SELECT e.epoch, e.blind, t.*
  FROM (SELECT concat_ws('|', (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()), (SELECT stats_reset FROM pg_stat_wal)) AS epoch,
               CASE WHEN pg_is_in_recovery() THEN 'the server is a replica, which has no counters'
                    WHEN NOT current_setting('track_counts')::boolean THEN 'track_counts is off' ELSE '' END AS blind) AS e
  LEFT JOIN (
       SELECT c.oid::bigint, n.nspname || '.' || c.relname, c.relkind::text,
              pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid),
              coalesce(pg_relation_filenode(c.oid), 0)::bigint,
              (SELECT md5(string_agg(concat_ws(':', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped), ',' ORDER BY a.attnum))
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = ANY({oids}::oid[])
       ) AS t(oid, name, relkind, inserted, updated, deleted, filenode, shape) ON true
 ORDER BY t.oid
""")

# What a query means can change with no row moved: a view or a function that is redefined, a policy that hides rows.
_DEFINITIONS = sql.SQL("""
SELECT md5(string_agg(d, ',' ORDER BY d)) FROM (
  SELECT 'view' || r.oid || ':' || r.xmin FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE r.oid >= 16384 AND c.relpersistence <> 't'
  UNION ALL SELECT 'policy' || oid || ':' || xmin FROM pg_policy
  UNION ALL SELECT 'secured' || oid FROM pg_class WHERE relrowsecurity
  UNION ALL SELECT 'function' || p.oid || ':' || p.xmin FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE p.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_temp%'
) AS x(d)
""")


def read_definitions(conn: psycopg.Connection[Any]) -> str:
    """Returns a hash that moves when any view, function or policy of the database is redefined."""
    row = conn.execute(_DEFINITIONS).fetchone()
    return str(row[0] or "") if row else ""


def read_counters(conn: psycopg.Connection[Any], oids: Sequence[int]) -> Probe:
    """Reads the counters of tables; a foreign table or a table that has none makes the probe blind."""
    rows = conn.execute(_COUNTERS.format(oids=sql.Literal(list(oids)))).fetchall()
    epoch, blind = rows[0][:2]
    tables = tuple(
        TableProbe(oid=r[0], name=r[1], relkind=r[2], inserted=r[3], updated=r[4], deleted=r[5], filenode=r[6], shape=r[7] or "")
        for r in (row[2:] for row in rows)
        if r[0] is not None
    )
    uncounted = [t.name for t in tables if t.relkind == "f"]
    if not blind and uncounted:
        blind = f"{', '.join(uncounted)}: a foreign table has no counters"
    if not blind and not tables:
        blind = "the query reads no table that has counters"
    return Probe(tables=tables, epoch=epoch, blind=blind)
