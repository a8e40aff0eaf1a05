""" "This happened", told to whoever listens.

event           what is told            bus    the interface, and the process's one
memory          within one process      redis_streams    between processes
  inbox           what a watcher has not read yet
  memory_group    shared work           redis_group      shared work
listening       hearing one topic for ever
patience        how long to wait before trying again
"""
