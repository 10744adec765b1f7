PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA application_id = 0x61677078;
PRAGMA user_version = 1;
CREATE TABLE calls (
    "key" TEXT NOT NULL,
    request_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    protocol TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    status INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    frames_in INTEGER,
    frames_out INTEGER,
    first_byte_us INTEGER,
    error TEXT,
    phase TEXT,
    close_side TEXT,
    close_code INTEGER,
    close_reason TEXT,
    close_clean INTEGER,
    upstream_request_id TEXT,
    session TEXT,
    session_source TEXT,
    agent TEXT,
    agent_version TEXT,
    sub_agent TEXT,
    working_directory TEXT,
    degraded TEXT,
    PRIMARY KEY ("key")
);
CREATE INDEX calls_started ON calls (started_us, "key");
CREATE TABLE turns (
    "key" TEXT NOT NULL,
    call_key TEXT NOT NULL,
    request_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    protocol TEXT NOT NULL,
    operation TEXT NOT NULL,
    lane TEXT,
    started_us INTEGER NOT NULL,
    first_token_us INTEGER,
    duration_us INTEGER,
    request_model TEXT,
    response_model TEXT,
    response_id TEXT,
    upstream_request_id TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    reasoning_tokens INTEGER,
    input_audio_tokens INTEGER,
    output_audio_tokens INTEGER,
    web_searches INTEGER,
    cost_micro_usd INTEGER,
    price_version TEXT,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    stop_reason TEXT,
    note TEXT,
    degraded TEXT,
    session TEXT,
    session_source TEXT,
    agent TEXT,
    agent_version TEXT,
    sub_agent TEXT,
    working_directory TEXT,
    tools TEXT,
    PRIMARY KEY ("key")
);
CREATE INDEX turns_started ON turns (started_us, "key");
CREATE INDEX turns_session ON turns (session, started_us, "key");
CREATE INDEX turns_call ON turns (call_key);
CREATE TABLE content (
    call_key TEXT NOT NULL,
    number INTEGER NOT NULL,
    part TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    size INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    note TEXT,
    is_text INTEGER NOT NULL,
    digests BLOB NOT NULL,
    PRIMARY KEY (call_key, number)
)
 WITHOUT ROWID;
CREATE INDEX content_at ON content (at_us);
CREATE TABLE blobs (
    digest BLOB NOT NULL,
    data BLOB NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (digest)
);
CREATE TABLE blob_uses (
    digest BLOB NOT NULL,
    used_us INTEGER NOT NULL,
    PRIMARY KEY (digest)
)
 WITHOUT ROWID;
CREATE INDEX blob_uses_used ON blob_uses (used_us);
