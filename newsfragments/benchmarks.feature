Benchmarks measure wire, market data and orders against plain Twisted peers of the same run; docs/performance.md says what they found and where it falls short.
