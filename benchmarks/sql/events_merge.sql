MERGE INTO analytics.events_baseline t USING {stage} s ON t.id = s.id
WHEN MATCHED AND (s.user_id, s.kind, s.amount, s.payload, s.updated_at) IS DISTINCT FROM (t.user_id, t.kind, t.amount, t.payload, t.updated_at)
  THEN UPDATE SET user_id = s.user_id, kind = s.kind, amount = s.amount, payload = s.payload, updated_at = s.updated_at
WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.user_id, s.kind, s.amount, s.payload, s.updated_at)
