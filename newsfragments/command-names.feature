`spire-admin` takes what is typed for the name of an account before it takes it for a number, and refuses what is the name of one and the number of another.
