"""Is all of this well?"""
