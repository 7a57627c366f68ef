Servers and clients speak AMP over TLS 1.3 with typed commands, coded errors, tickets with proof of possession and sessions that come back by themselves.
