"""The tables, in SQL that SQLite and Postgres read alike."""

VERSION = 1

# `due_at` is on the lease clock: a queued job may start from then on, a running one is lost unless renewed by then.
# Results have a table of their own, so that looking through the jobs reads no transcripts.
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS fleet_jobs_schema (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO fleet_jobs_schema (version) SELECT {VERSION} WHERE NOT EXISTS (SELECT 1 FROM fleet_jobs_schema);
CREATE TABLE IF NOT EXISTS fleet_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    state TEXT NOT NULL,
    fields TEXT NOT NULL,
    content_type TEXT NOT NULL,
    audio_bytes BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    started_at DOUBLE PRECISION,
    finished_at DOUBLE PRECISION,
    progress DOUBLE PRECISION NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    strikes INTEGER NOT NULL DEFAULT 0,
    token BIGINT NOT NULL DEFAULT 0,
    error TEXT,
    callback_url TEXT,
    idempotency_key TEXT,
    due_at DOUBLE PRECISION NOT NULL DEFAULT 0,
    kept_bytes BIGINT NOT NULL,
    callback_due DOUBLE PRECISION,
    callback_tries INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS fleet_jobs_idempotency ON fleet_jobs (tenant, idempotency_key);
CREATE INDEX IF NOT EXISTS fleet_jobs_by_tenant ON fleet_jobs (tenant, created_at);
CREATE TABLE IF NOT EXISTS fleet_job_results (
    id TEXT NOT NULL PRIMARY KEY,
    content_type TEXT NOT NULL,
    body BYTEA NOT NULL
);
"""
