"""Airflow operators, one a verb of the cycle; thin: they read the spec, call the cycle and return bounds and counts."""
