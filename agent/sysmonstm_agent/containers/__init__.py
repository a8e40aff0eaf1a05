"""What runs in containers: who is there, and what each uses.

engine     Docker or Podman says who there is, over its socket
cgroups    the kernel says what each uses; and who there is, without an engine
container  what both come to
usage      counters become rates
"""
