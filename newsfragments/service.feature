Every server is a twistd plugin with strict TOML configuration, readiness, a private admin endpoint, Prometheus metrics and JSON logs.
