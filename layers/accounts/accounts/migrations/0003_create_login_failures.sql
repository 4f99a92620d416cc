-- account is the SHA-256 of an email_key, in hexadecimal: it may be of an address that has no account here.
-- failures are logins that failed, in_flight those that are not decided yet, tried_at is when either last grew.
CREATE TABLE IF NOT EXISTS login_failures (
    account text PRIMARY KEY,
    failures integer NOT NULL,
    in_flight integer NOT NULL,
    tried_at timestamptz NOT NULL,
    delayed_until timestamptz NOT NULL
)
