A client library (`spire.client`) logs in once and hands out every service; it reconnects, resumes without a hole, and waits for an order's fate.
