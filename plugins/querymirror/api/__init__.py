"""The control plane: REST and one page inside Airflow's own api-server, behind its login."""
