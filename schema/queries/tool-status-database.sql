SELECT current_setting('server_version') AS version, current_database() AS name,
       pg_database_size(current_database()) AS bytes,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'ringbackd%')
           AS daemon_connections
