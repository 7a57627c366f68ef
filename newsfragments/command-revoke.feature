`spire-admin entitle revoke` shows what it has revoked when a later one of several grants fails.
