"""The wire becomes batches, batches become durable, then acknowledged."""
