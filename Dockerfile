# Airflow with what the pipelines import. DAGs, plugins and specs are copied in, so that the image runs without a checkout;
# docker-compose.yaml mounts the checkout's own over them.
ARG AIRFLOW_VERSION=3.3.2
FROM apache/airflow:${AIRFLOW_VERSION}-python3.12

COPY --chown=airflow:root requirements.txt constraints.txt /opt/airflow/
RUN pip install --no-cache-dir --requirement /opt/airflow/requirements.txt --constraint /opt/airflow/constraints.txt

COPY --chown=airflow:root dags /opt/airflow/dags
COPY --chown=airflow:root plugins /opt/airflow/plugins
COPY --chown=airflow:root include /opt/airflow/include
ENV PYTHONPATH=/opt/airflow/plugins \
    QUERYMIRROR_INCLUDE=/opt/airflow/include
RUN python -m compileall -q /opt/airflow/plugins
