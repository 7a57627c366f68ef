Audit events of groups, people and roles hold the session, channel, address and client of the administrator, not those of the Administration Server.
