"""The wire contract of sysmonstm: generated messages, and its bounds in `limits`.

`metrics_pb2`, `metrics_pb2.pyi` and `metrics_pb2_grpc` are generated from
`metrics.proto` by `make proto`; a test holds them to it.
"""
