-- The table and trigger of Dapr's documentation for its PostgreSQL configuration store, under the
-- names that our component files use. An agent has to live with them too.
CREATE TABLE IF NOT EXISTS configuration (
    KEY VARCHAR NOT NULL,
    VALUE VARCHAR NOT NULL,
    VERSION VARCHAR NOT NULL,
    METADATA JSON
);

CREATE OR REPLACE FUNCTION notify_event() RETURNS TRIGGER AS $$
    DECLARE
        data json;
        notification json;
    BEGIN
        IF (TG_OP = 'DELETE') THEN
            data = row_to_json(OLD);
        ELSE
            data = row_to_json(NEW);
        END IF;

        notification = json_build_object(
            'table', TG_TABLE_NAME,
            'action', TG_OP,
            'data', data);
        PERFORM pg_notify('config', notification::text);
        RETURN NULL;
    END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE TRIGGER config
    AFTER INSERT OR UPDATE OR DELETE ON configuration
    FOR EACH ROW EXECUTE PROCEDURE notify_event();
