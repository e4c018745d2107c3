# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables. Times are seconds since the epoch (REAL); ids of trees and chunks are raw BLAKE2b digests."""

from __future__ import annotations

SCHEMA_VERSION = 2

SCHEMA = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- Content: chunks of files (small ones here, large ones as files) and nodes of file trees.
CREATE TABLE chunk (id BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE node (id BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE project (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, created REAL NOT NULL,
  defaults TEXT NOT NULL DEFAULT '{}', metadata TEXT NOT NULL DEFAULT '{}');
CREATE TABLE repo (
  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES project, name TEXT NOT NULL,
  type TEXT NOT NULL, description TEXT NOT NULL, created REAL NOT NULL,
  metadata TEXT NOT NULL DEFAULT '{}',
  UNIQUE (project_id, name, type));
CREATE TABLE branch (
  id INTEGER PRIMARY KEY, repo_id INTEGER NOT NULL REFERENCES repo ON DELETE CASCADE, name TEXT NOT NULL,
  head INTEGER, created REAL NOT NULL, updated REAL NOT NULL,
  metadata TEXT NOT NULL DEFAULT '{}', UNIQUE (repo_id, name));
CREATE TABLE branch_provenance (
  branch_id INTEGER NOT NULL REFERENCES branch ON DELETE CASCADE,
  upstream_id INTEGER NOT NULL REFERENCES branch ON DELETE CASCADE, position INTEGER NOT NULL,
  PRIMARY KEY (branch_id, upstream_id)) WITHOUT ROWID;
CREATE INDEX branch_subvenance ON branch_provenance (upstream_id);
CREATE TABLE branch_trigger (
  branch_id INTEGER PRIMARY KEY REFERENCES branch ON DELETE CASCADE,
  source_id INTEGER NOT NULL REFERENCES branch ON DELETE CASCADE, needs_all INTEGER NOT NULL,
  rate_limit_spec TEXT NOT NULL, size TEXT NOT NULL, commits INTEGER NOT NULL, cron_spec TEXT NOT NULL);
CREATE INDEX branch_triggers ON branch_trigger (source_id);

-- tree is the file tree as it stands; NULL means "empty" once based is 1, "not known yet" before.
CREATE TABLE pfs_commit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,
  repo_id INTEGER NOT NULL REFERENCES repo ON DELETE CASCADE,
  branch TEXT NOT NULL, parent INTEGER, origin INTEGER NOT NULL, description TEXT NOT NULL,
  started REAL NOT NULL, finishing REAL, finished REAL,
  error TEXT NOT NULL DEFAULT '', invalid TEXT NOT NULL DEFAULT '',
  based INTEGER NOT NULL DEFAULT 0, tree BLOB, forgotten INTEGER NOT NULL DEFAULT 0,
  metadata TEXT NOT NULL DEFAULT '{}', UNIQUE (id, repo_id));
CREATE INDEX commit_of_repo ON pfs_commit (repo_id, seq);
CREATE INDEX commit_children ON pfs_commit (parent);
CREATE INDEX commit_unfinished ON pfs_commit (seq) WHERE finished IS NULL;
-- branch is the name of the one, of the upstream's repo, whose head that was.
CREATE TABLE commit_provenance (
  seq INTEGER NOT NULL REFERENCES pfs_commit ON DELETE CASCADE, upstream INTEGER NOT NULL,
  branch TEXT NOT NULL, PRIMARY KEY (seq, upstream, branch)) WITHOUT ROWID;
CREATE INDEX commit_subvenance ON commit_provenance (upstream);

-- Two trees: additive as a commit's, deletive with the same keys, of what goes before something is added.
CREATE TABLE file_set (
  token TEXT PRIMARY KEY, additive BLOB, deletive BLOB, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX file_set_expiry ON file_set (expires);
-- Requests of a transaction that is not finished: a serialized transaction_v2.TransactionInfo.
CREATE TABLE open_transaction (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, info BLOB NOT NULL);

CREATE TABLE pipeline (
  id INTEGER PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
  stopped INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL, metadata TEXT NOT NULL DEFAULT '{}', UNIQUE (project, name));
CREATE TABLE pipeline_version (
  pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE, version INTEGER NOT NULL,
  user_json TEXT NOT NULL, effective_json TEXT NOT NULL, request BLOB NOT NULL,
  salt TEXT NOT NULL, spec_commit TEXT NOT NULL, updated REAL NOT NULL,
  PRIMARY KEY (pipeline_id, version)) WITHOUT ROWID;

-- datums is a tree: datum id -> result, shared between jobs where nothing changed.
CREATE TABLE job (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,
  pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE, version INTEGER NOT NULL,
  output INTEGER NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '',
  processed INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  recovered INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL, started REAL, finished REAL, stats TEXT NOT NULL DEFAULT '{}',
  datums BLOB, output_tree BLOB, UNIQUE (id, pipeline_id));
CREATE INDEX job_of_pipeline ON job (pipeline_id, seq);
CREATE INDEX job_active ON job (seq) WHERE finished IS NULL;
-- What a running job has done so far, so that it goes on from there after a crash.
CREATE TABLE datum_done (
  job_seq INTEGER NOT NULL REFERENCES job ON DELETE CASCADE, datum TEXT NOT NULL, result TEXT NOT NULL,
  PRIMARY KEY (job_seq, datum)) WITHOUT ROWID;
CREATE TABLE log (
  seq INTEGER PRIMARY KEY, job_seq INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
  datum TEXT NOT NULL, user INTEGER NOT NULL, time REAL NOT NULL, message TEXT NOT NULL);
CREATE INDEX log_of_job ON log (job_seq, seq);

-- Auth. Tokens are kept as the hex of their SHA-256, as pachd keeps them. role_resource: what has a role
-- binding, maybe an empty one ("CLUSTER:", "PROJECT:default", "REPO:default/data"); auth is active while
-- "CLUSTER:" has one. In group_member an empty name stands for nobody, so that an empty group stays known.
CREATE TABLE auth_token (hash TEXT PRIMARY KEY, subject TEXT NOT NULL, expires REAL) WITHOUT ROWID;
CREATE INDEX auth_token_of_subject ON auth_token (subject);
CREATE TABLE role_resource (resource TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE role_binding (
  resource TEXT NOT NULL REFERENCES role_resource ON DELETE CASCADE, principal TEXT NOT NULL,
  role TEXT NOT NULL, PRIMARY KEY (resource, principal, role)) WITHOUT ROWID;
CREATE TABLE group_member (
  name TEXT NOT NULL, principal TEXT NOT NULL, PRIMARY KEY (name, principal)) WITHOUT ROWID;
"""
