"""The embedded stack: PostgreSQL, Elasticsearch and Airflow as ordinary processes, for the demo, the tests and the benchmarks."""
