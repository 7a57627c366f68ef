"""One object that logs in and hands out every service's client."""
