Adding and removing the roles of managers and administrators leaves other rights alone that were granted to the account on the group or the root.
