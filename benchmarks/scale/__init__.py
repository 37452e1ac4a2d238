"""Many pipelines on one Airflow: does every run end within its interval, and what does that cost?"""
