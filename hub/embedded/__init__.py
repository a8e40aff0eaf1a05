"""The whole hub in one process, with an agent beside it: `manage.py up`.

up        refuse nonsense, prepare the database, then run the rest
claims    the folder and the ports are ours
station   what lives on the one event loop, and how it ends
web       daphne on that loop        beat    Celery's table on that loop
agent     the child process          leash   it never outlives us
"""
