-- Two roles for the Codec Server's database, PostgreSQL 14 or newer:
--
--   codec_owner   owns the tables; for `manage.py migrate` and `manage.py retire_audit`, and for nothing else
--   codec_app     for the server and every other command; cannot change or drop an audit record, nor alter a table
--
-- Run it in the server's database as a superuser: once before the first migrate, and after every migrate. It may be run
-- again at any time. It sets no passwords: `\password codec_owner`, `\password codec_app`.
--
--   psql -d codec -f deploy/postgresql-roles.sql
--
-- If other roles own the tables already: REASSIGN OWNED BY that_role TO codec_owner;

BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'codec_owner') THEN
        CREATE ROLE codec_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'codec_app') THEN
        CREATE ROLE codec_app LOGIN;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO codec_owner, codec_app', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO codec_owner;
GRANT USAGE ON SCHEMA public TO codec_app;

-- Rows may be read and written, and no table altered, emptied at once, or given a trigger.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, codec_app;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, codec_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO codec_app;

DO $$
BEGIN
    IF to_regclass('public.keys_auditrecord') IS NULL THEN
        RAISE NOTICE 'There are no tables yet. Migrate as codec_owner, then run this again.';
        RETURN;
    END IF;
    -- An audit record is written once. A chain's head moves on; where it begins, only retirement moves.
    REVOKE UPDATE, DELETE ON keys_auditrecord FROM codec_app;
    REVOKE UPDATE, DELETE ON keys_auditchain FROM codec_app;
    GRANT UPDATE (sequence, mac) ON keys_auditchain TO codec_app;
    -- Never deleted by the server: it disables, revokes, retires, destroys.
    REVOKE DELETE ON keys_namespace, keys_keyversion, keys_policyepoch, codec_user, codec_grant FROM codec_app;
    -- Written by migrate alone.
    REVOKE INSERT, UPDATE, DELETE ON django_migrations, django_content_type, auth_permission FROM codec_app;
END
$$;

COMMIT;
