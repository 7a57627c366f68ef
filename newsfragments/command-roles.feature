`spire-admin account roles` needs a `--reason`, as every change that is kept does.
