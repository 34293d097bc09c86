-- A database as the first phosd made it, with one project (its key_hash is
-- that of "ph_test" under the salt below), two events of one session, a
-- feedback, and an index that holds the first event alone.
BEGIN;
CREATE TABLE collector(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  salt BLOB NOT NULL,
  indexed_to INTEGER NOT NULL);
INSERT INTO collector VALUES(1, x'000102030405060708090a0b0c0d0e0f', 1);
CREATE TABLE projects(
  id INTEGER PRIMARY KEY,
  name TEXT UNIQUE,
  key_hash BLOB NOT NULL UNIQUE);
CREATE TABLE sessions(
  id INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL,
  session_id TEXT NOT NULL,
  grouped_user TEXT,
  user_id TEXT,
  started_us INTEGER NOT NULL,
  ended_us INTEGER NOT NULL,
  event_count INTEGER NOT NULL,
  token_count_input INTEGER NOT NULL,
  token_count_output INTEGER NOT NULL,
  cost_cents REAL NOT NULL,
  success_count INTEGER NOT NULL DEFAULT 0,
  failure_count INTEGER NOT NULL DEFAULT 0,
  UNIQUE(project_id, session_id));
CREATE INDEX sessions_by_time ON sessions(project_id, ended_us, id);
CREATE INDEX sessions_by_user
  ON sessions(project_id, grouped_user, ended_us)
  WHERE grouped_user IS NOT NULL;
CREATE TABLE events(
  id INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL,
  event_id BLOB NOT NULL,
  session INTEGER,
  time_us INTEGER NOT NULL,
  received_us INTEGER NOT NULL,
  session_id TEXT,
  user_id TEXT,
  model TEXT,
  input TEXT NOT NULL,
  output TEXT NOT NULL,
  metadata TEXT NOT NULL);
CREATE UNIQUE INDEX events_by_id ON events(project_id, event_id);
CREATE INDEX events_by_time ON events(project_id, time_us);
CREATE INDEX events_by_session ON events(session, time_us)
  WHERE session IS NOT NULL;
CREATE INDEX events_by_user ON events(project_id, user_id, time_us)
  WHERE user_id IS NOT NULL;
CREATE TABLE tags(
  project_id INTEGER NOT NULL,
  tag TEXT NOT NULL,
  event INTEGER NOT NULL,
  PRIMARY KEY(project_id, tag, event)) WITHOUT ROWID;
CREATE TABLE feedback(
  event INTEGER PRIMARY KEY,
  flag TEXT NOT NULL,
  comment TEXT,
  source TEXT NOT NULL,
  received_us INTEGER NOT NULL);
CREATE VIRTUAL TABLE events_text USING fts5(
  input, output, content='', columnsize=0, detail=none,
  tokenize='trigram');
INSERT INTO projects VALUES(1, NULL, x'9b1bbf8ce50e9b896c232228e056c9629d93b2e8ee8bc330bc720e8078f44d2d');
INSERT INTO sessions VALUES(1, 1, 's-1', NULL, NULL, 1738315800000000,
  1738315860000000, 2, 3, 4, 0.5, 1, 0);
INSERT INTO events VALUES(1, 1, x'6f1f2b9e2f7a4f0e9a510b7f3f6f5a10', 1,
  1738315800000000, 1738315801000000, 's-1', NULL, 'm-1',
  'How tall is K2?', '8,611 m.', '{"model":"m-1","token_count_input":3}');
INSERT INTO events VALUES(2, 1, x'6f1f2b9e2f7a4f0e9a510b7f3f6f5a11', 1,
  1738315860000000, 1738315861000000, 's-1', NULL, NULL,
  'And Makalu?', '8,485 m.', '{"token_count_output":4,"tags":["peaks"]}');
INSERT INTO tags VALUES(1, 'peaks', 2);
INSERT INTO feedback VALUES(1, 'success', NULL, 'user', 1738315900000000);
INSERT INTO events_text(rowid, input, output)
  VALUES(1, 'How tall is K2?', '8,611 m.');
PRAGMA application_id = 0x70686F73;
PRAGMA user_version = 1;
COMMIT;
