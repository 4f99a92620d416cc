-- A session is a family of refresh tokens: the handle stays, the secret rotates; only their SHA-256 hashes are here.
-- handle_hash is hexadecimal, since Aurora DSQL has no index on bytea. The key starts with user_id, so that a user's
-- sessions are found without a second index.
CREATE TABLE IF NOT EXISTS sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    handle_hash text NOT NULL UNIQUE,
    secret_hash bytea NOT NULL,
    previous_hash bytea,
    rotation_nonce bytea,
    rotated_at timestamptz,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    user_agent text,
    ip text,
    PRIMARY KEY (user_id, id)
)
