-- What a sidecar of the first release left: a hold that waits, one whose outcome nobody knows, a vote, an entry that is not in the log yet.
INSERT INTO meta (name, value) VALUES ('application', 'stagewarden'), ('schema', '2');
INSERT INTO holds (id, state, ruling, digest, view_digest, repeat_digest, agent, workflow, initiator, upstream, stage, kind, asset, tier, reasons, seats, questions, principal, method, path, asked_at_ns, expires_at_ns, approved_at_ns, use_by_ns, ended_at_ns, fence, lease_until_ns, not_before_ns) VALUES
  ('h_1', 'pending', 'r_1', 'sha256:a', 'sha256:b', 'sha256:c', 'drafter', 'newsletter', '', 'cms', 'export', 'post.publish', '42', 'medium', '[]', '[{"functions": ["reviewer"], "count": 1}]', '["factual"]', '{"agent": "drafter"}', 'POST', '/posts', 1795251600000000000, 1795266000000000000, 0, 0, 0, 0, 0, 0),
  ('h_2', 'unknown', 'r_2', 'sha256:d', 'sha256:e', 'sha256:f', 'drafter', 'newsletter', '', 'cms', 'export', 'post.publish', NULL, 'high', '[]', '[{"functions": ["legal"], "count": 2}]', '["factual"]', '{"agent": "drafter"}', 'POST', '/posts', 1795251500000000000, 1795265900000000000, 1795251510000000000, 1795252410000000000, 1795251520000000000, 1, 1795251550000000000, 0);
INSERT INTO votes (id, hold, person, function, decision, digest, view_digest, answers, at_ns, void_at_ns) VALUES
  ('v_1', 'h_2', 'lena', 'legal', 'approve', 'sha256:d', 'sha256:e', '{"factual": true}', 1795251509000000000, 0);
INSERT INTO outbox (id, created_ns, hold, kind, body) VALUES ('e_1', 1795251600000000000, 'h_1', 'hold', '{"hold": "h_1", "state": "pending"}');
