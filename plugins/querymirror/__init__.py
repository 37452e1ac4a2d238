"""querymirror: keep a PostgreSQL table or an Elasticsearch index equal to a SQL query over a source PostgreSQL."""

__version__ = "0.1.0"
