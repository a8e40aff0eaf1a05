"""The hub talks back: settings are pushed, agents are asked.

edit      a person's change becomes a revision        revisions, undo
compile   default, tags and machine become one        a growing version
config    WatchConfig sends it, ReportConfig notes what became of it
rollout   a few machines first, then the others
ask       a question from any process                 over the Channels layer
control   ManageStream passes it on, and the answer back
live_mode somebody watches: a sample each second
"""
