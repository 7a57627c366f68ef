The Compliance Server keeps versioned rules on directory entries, live for Order Execution, and serves violations of them as they happen and of the past.
