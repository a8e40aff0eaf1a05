"""The gRPC server: assembly, authentication, limits."""
