"""One file per collector; `sysmonstm_agent.registry` lists them.

A collector has a `name`, its `metrics` and `collect`; nothing else is asked of
it (see `sysmonstm_agent.collector`). To add one: write the file, add a line to
the registry. The hub learns names and units from the agent.
"""
