-- The table that the pipelines make from the query's own column types, for the baselines.
CREATE SCHEMA IF NOT EXISTS analytics;
DROP TABLE IF EXISTS analytics.events_baseline, analytics.events_stage;
CREATE TABLE analytics.events_baseline (
    id bigint PRIMARY KEY,
    user_id int,
    kind text,
    amount numeric(12,2),
    payload jsonb,
    updated_at timestamptz
);
