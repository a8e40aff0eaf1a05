"""Samples at rest: hot state, raw, and the one read API.

    sample       what travels; as bytes between processes
    layouts      which series the places of a vector belong to (layout, kept_layouts);
                 provisional before they are stored
    raw          durable, once: raw_postgres, raw_sqlite (binary)
    tiers        raw → minute → hour, and how far each has come
    rollup       fine rows become coarse ones (folding, fold, buckets)
    late, mend   and once more where samples came late
    expire       until they are old         archive  and then Parquet (archive_file)
    chunks       what TimescaleDB wants done
    hot          the last five minutes: hot_memory, hot_redis (hot_terms, trail)
    states       the newest sample of each machine            summary  its few numbers
    window       series over time: spans picks tiers, rows are read, fold thins them
    columns      a few series of many machines at once; picked reads only their places
    sparklines   an hour of everybody's CPU
    migrate_store  an embedded history moves here (source)

`database.py` says which failures pass by themselves.
"""
