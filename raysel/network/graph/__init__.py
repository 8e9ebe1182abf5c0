"""A network's graph of operations: tracing, the meaning of each operation, simplification, and a digest of it all."""
