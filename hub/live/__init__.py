"""Browsers watch events.

consumer   one browser's socket: may it, what does it want, its acknowledgements
permits    who may see which machines, now and still        origin   from our pages?
feed       bus → board → watchers, once for all sockets of the process
board      what every machine looks like now, encoded once for everybody
fanout     what each socket has not been told yet, and how much it may be told
frames     the JSON that travels, for us and for programs without a database
"""
